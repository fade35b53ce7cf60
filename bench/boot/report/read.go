package main

import (
	"bufio"
	"cmp"
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// boot is what one machine reports about its boot.
type boot struct {
	seconds  float64 // from the kernel's start to the complete boot
	requests int     // requests sent to the disk
	bytes    int64
	seeks    int // requests that do not follow the request before
	issued   []request
}

// request is a read that the block layer sent to the disk.
type request struct {
	at     float64 // seconds since the kernel started
	offset int64   // bytes
	length int64
}

// issue matches the kernel's event block_rq_issue of an NVMe disk, whose major number is 259. The
// groups: seconds, first sector, number of sectors.
var issue = regexp.MustCompile(` (\d+\.\d+): block_rq_issue: 259,0 R\S* \d+ \(\) (\d+) \+ (\d+) `)

// readBoot reads one report. A report without its last line or without the seconds is an error.
func readBoot(file string) (boot, error) {
	f, err := os.Open(file)
	if err != nil {
		return boot{}, err
	}
	defer f.Close() // nothing was written
	var b boot
	var end int64
	complete := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text := strings.TrimSuffix(lines.Text(), "\r")
		complete = text == "end"
		if value, ok := strings.CutPrefix(text, "seconds "); ok {
			if b.seconds, err = strconv.ParseFloat(value, 64); err != nil {
				return boot{}, err
			}
		}
		m := issue.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		at, err1 := strconv.ParseFloat(m[1], 64)
		sector, err2 := strconv.ParseInt(m[2], 10, 53)
		count, err3 := strconv.ParseInt(m[3], 10, 32)
		if err := cmp.Or(err1, err2, err3); err != nil {
			return boot{}, err
		}
		if at > b.seconds {
			continue // a read of the report program itself
		}
		r := request{at, sector * 512, count * 512}
		if r.offset != end {
			b.seeks++
		}
		end = r.offset + r.length
		b.requests++
		b.bytes += r.length
		b.issued = append(b.issued, r)
	}
	if err := lines.Err(); err != nil {
		return boot{}, err
	}
	if !complete || b.seconds == 0 {
		return boot{}, errors.New("the boot did not come to its end")
	}
	return b, nil
}
