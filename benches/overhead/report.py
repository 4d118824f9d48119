"""What the runs came to, as a table and as JSON."""

import os
import platform
import statistics


def spread(values):
    """Median, quartiles, least and most."""
    ordered = sorted(values)
    if len(ordered) == 1:
        return dict.fromkeys(("median", "q1", "q3", "least", "most"), ordered[0])
    q1, median, q3 = statistics.quantiles(ordered, n=4, method="inclusive")
    return {"median": median, "q1": q1, "q3": q3, "least": ordered[0], "most": ordered[-1]}


def machine():
    model = ""
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"kernel": platform.release(), "processor": model, "processors": os.cpu_count()}


def summarise(workload, pairs):
    """What the pairs of runs of a workload say."""
    ratio = spread([on["value"] / off["value"] for off, on in pairs])
    per_operation = [run["programs_cpu"] / run["operations"] for pair in pairs for run in pair]
    offs, ons = per_operation[::2], per_operation[1::2]
    runs_on = [on for _, on in pairs]
    summary = {
        "workload": workload.name,
        "unit": workload.unit,
        "better": workload.better,
        "pairs": len(pairs),
        "off": spread([off["value"] for off, _ in pairs]),
        "on": spread([on["value"] for on in runs_on]),
        "ratio": ratio,
        "programs_cpu_ratio": spread([on / off for off, on in zip(offs, ons)]),
        "weir_cores": spread([on["weir_cpu"] / on["wall"] for on in runs_on]),
        "resident_mib": spread([on["resident"] / 2**20 for on in runs_on]),
        "beside_window_mib": spread([on["beside_window"] / 2**20 for on in runs_on]),
        "load_average": spread([run["load"] for pair in pairs for run in pair]),
    }
    if runs_on[0].get("expected"):
        summary["weir_cpu_ms_per_10k_events"] = spread(
            [on["weir_cpu"] / on["expected"] * 1e7 for on in runs_on])
        summary["captured"] = spread([on["rows"] / on["expected"] for on in runs_on])
        lost = {}
        for on in runs_on:
            for where, events in on["ledger"].items():
                lost[where] = lost.get(where, 0) + events
        summary["lost"] = lost
        summary["missing"] = sum(max(0, on["expected"] - on["rows"]) for on in runs_on)
    return summary


def table(summaries):
    lines = [
        f"{'':<30} {'without weir':>13} {'with weir':>10}  {'ratio, quartiles, least to most':<36}"
        f" {'cpu/op':>6} {'cores':>6} {'ms/10k':>7} {'captured':>9} {'RSS':>5} {'beside':>6}"
    ]
    for summary in summaries:
        ratio = summary["ratio"]
        text = (f"{ratio['median']:.3f} ({ratio['q1']:.3f} to {ratio['q3']:.3f}) "
                f"{ratio['least']:.3f} to {ratio['most']:.3f}")
        cost = summary.get("weir_cpu_ms_per_10k_events")
        captured = summary.get("captured")
        share = f"{captured['median']:.3%}" if captured else "-"
        cost = f"{cost['median']:.1f}" if cost else "-"
        lines.append(
            f"{summary['workload']:<30} {number(summary['off']['median']):>13} {number(summary['on']['median']):>10}"
            f"  {text:<36} {summary['programs_cpu_ratio']['median']:>6.3f} {summary['weir_cores']['median']:>6.3f}"
            f" {cost:>7} {share:>9} {summary['resident_mib']['most']:>5.0f}"
            f" {summary['beside_window_mib']['most']:>6.0f}")
        if summary.get("missing") or summary.get("lost"):
            lost = ", ".join(f"{where} {events}" for where, events in sorted(summary["lost"].items())) or "nothing"
            lines.append(f"    {summary['missing']} rows missing in all runs; the ledger has: {lost}")
    lines += [
        "",
        "ratio: with weir to without, of pairs of runs that followed each other. cpu/op: the same of the processor time of",
        "the programs for each operation. cores: weir's own processor time by the clock. ms/10k: its processor time for",
        "10,000 rows of http_events. RSS: most resident MiB; beside: without the rows in memory.",
    ]
    return "\n".join(lines)


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def programs_table(phases):
    lines = [f"{'nanoseconds a run':<30} {'program':<16} {'runs':>9} {'all':>6} {'beyond an empty one':>20}"]
    for phase in phases:
        empty = phase["empty"]
        base = sum(program["ns"] for program in empty.values()) / max(1, len(empty))
        for name, program in sorted(phase["programs"].items()):
            hook = {"packet_received": "ingress", "packet_sent": "egress"}.get(name)
            beyond = f"{program['ns'] - empty[hook]['ns']:>20.0f}" if hook in empty else f"{'':>20}"
            lines.append(f"{phase['workload']:<30} {name:<16} {program['runs']:>9} {program['ns']:>6.0f} {beyond}")
        lines.append(f"{phase['workload']:<30} {'(empty)':<16} {sum(p['runs'] for p in empty.values()):>9} {base:>6.0f}")
    return "\n".join(lines)
