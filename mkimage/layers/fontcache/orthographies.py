#!/usr/bin/env python3
"""orthographies.py OLDER NEWER: prints orthographies.txt, but for its notice, of two releases'
fc-lang/fclang.h."""
import re
import sys


def read(path):
    """Gives each language's number in sets, and its characters."""
    text = open(path).read()
    names = re.findall(r'^    \{ "([^"]+)",  \{ FC_REF_CONSTANT, (\d+), OFF\(\d+,(\d+)\)', text, re.M)
    leaves = [[int(x, 16) for x in re.findall(r'0x([0-9a-f]{8})', m)]
              for m in re.findall(r'\{ \{ /\* \d+ \*/(.*?)\} \}', text, re.S)]
    parts = text[text.index('static const struct'):text.index('#define NUM_LANG_CHAR_SET')].split('\n},\n{\n')
    places = [int(x) for x in re.findall(r'LEAF\(\s*\d+,\s*(\d+)\)', parts[2])]
    pages = [int(x, 16) for x in re.findall(r'0x([0-9a-f]{4}),', parts[3])]
    numbers = [int(x) for x in re.findall(r'^    (\d+), /\*', parts[4], re.M)]
    languages = {}
    for i, (name, count, first) in enumerate(names):
        chars = [pages[k] * 256 + bit for k in range(int(first), int(first) + int(count))
                 for bit in range(256) if leaves[places[k]][bit >> 5] >> (bit & 31) & 1]
        languages[name] = numbers[i], chars
    return languages


older, newer = read(sys.argv[1]), read(sys.argv[2])
for name, (number, chars) in newer.items():
    if name in older and older[name][1] != chars:
        sys.exit(name + ' is not the same in both')
    ranges, last = [], 0
    for c in chars:
        if ranges and c == ranges[-1][1] + 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    print(name, older[name][0] if name in older else '-', number)
    line = ' '
    for begin, end in ranges:
        word = f'{begin - last:x}' + (f'+{end - begin:x}' if end > begin else '')
        last = end
        if len(line) + len(word) + 1 > 99:
            print(line)
            line = ' '
        line += (',' if line != ' ' else '') + word
    print(line)
