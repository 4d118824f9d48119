"""A wire between two interfaces that delays and loses what it carries.

usage: wire.py ONE OTHER DELAY_MS LOSS_PERCENT

Both interfaces are in the network namespace of this program. What is lost is the same in every run. Prints "listening"
once it carries; needs neither netem nor any other queueing discipline.
"""

import heapq
import random
import select
import socket
import sys
import time

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
# Offsets of frames that the stack leaves to the card: the header in front of each frame hands that on.
LARGEST = 10 + 14 + 65536


def open_end(interface):
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.bind((interface, 0))
    return end


def carry(one, other, delay_ms, loss_percent):
    ends = [open_end(one), open_end(other)]
    chance = random.Random(77)
    underway = []
    count = 0
    print("listening", flush=True)
    while True:
        wait = max(0, underway[0][0] - time.monotonic()) if underway else None
        readable, _, _ = select.select(ends, [], [], wait)
        now = time.monotonic()
        for end in readable:
            frame = end.recv(LARGEST)
            if chance.random() * 100 >= float(loss_percent):
                count += 1
                target = ends[1] if end is ends[0] else ends[0]
                heapq.heappush(underway, (now + float(delay_ms) / 1000, count, target, frame))
        while underway and underway[0][0] <= now:
            _, _, target, frame = heapq.heappop(underway)
            target.send(frame)


if __name__ == "__main__":
    carry(*sys.argv[1:])
