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

// boot is what one machine did until its boot was complete.
type boot struct {
	seconds  float64 // since the kernel started
	requests int     // that the disk was given
	bytes    int64
	seeks    int // requests that do not follow the one before
	issued   []request
}

// request is one that the block layer gave to the disk.
type request struct {
	at     float64 // seconds since the kernel started
	offset int64   // bytes
	length int64
}

// issue is the kernel's event block_rq_issue of an NVMe disk, whose first major number is 259; the
// groups: seconds, first sector, number of sectors.
var issue = regexp.MustCompile(` (\d+\.\d+): block_rq_issue: 259,0 R\S* \d+ \(\) (\d+) \+ (\d+) `)

// readBoot reads one report; one without its last line, or without the seconds, is an error.
func readBoot(file string) (boot, error) {
	f, err := os.Open(file)
	if err != nil {
		return boot{}, err
	}
	defer f.Close() // only read
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
			continue // the report itself is read from the disk
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
