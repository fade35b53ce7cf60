package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// watchDisk has the kernel note each request that it sends to the disk. To do so the kernel patches
// its own code, and sets a trap there meanwhile. Under QEMU's emulation another processor may run
// into the trap and never leave it, so watchDisk takes the second processor offline meanwhile.
func watchDisk() (err error) {
	const second = "/sys/devices/system/cpu/cpu1/online"
	if _, err := os.Stat(second); err == nil {
		if err := os.WriteFile(second, []byte("0"), 0); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.WriteFile(second, []byte("1"), 0)) }()
	}
	if err := os.Mkdir(events, 0o700); err != nil {
		return err
	}
	for file, value := range map[string]string{
		"trace_clock": "boot", "buffer_size_kb": "4096", "events/block/block_rq_issue/enable": "1",
	} {
		if err := os.WriteFile(filepath.Join(events, file), []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

// report writes for bench/boot.sh: seconds since the kernel's start, the disk's counters, the
// requests.
func report() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return err
	}
	stat, err := os.ReadFile("/sys/block/" + disk + "/stat")
	if err != nil {
		return err
	}
	out, err := os.OpenFile(reportTo, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	cpu, err := taskTime()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "seconds %.3f\ncpu %.3f\nstat %s", float64(now.Nano())/1e9, cpu.Seconds(),
		stat)
	mode, err := kernelArgument("bench.mode")
	if err != nil {
		return err
	}
	switch mode {
	case "record", "pages":
		if err := reportRecorder(out); err != nil {
			return err
		}
		if err := takeTrace(out, mode); err != nil {
			return err
		}
	}
	requests, err := os.Open(filepath.Join(events, "trace"))
	if err != nil {
		return err
	}
	defer requests.Close()
	if _, err := io.Copy(out, requests); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "end")
	return err
}

// taskTime is for how long tasks have run on all processors: field 8 of the processors' lines in
// schedstat, in nanoseconds.
func taskTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/schedstat")
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 8 || !strings.HasPrefix(fields[0], "cpu") {
			continue
		}
		n, err := strconv.ParseInt(fields[7], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/schedstat: %w", err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// reportRecorder writes the peak memory of a running recorder, in KiB.
func reportRecorder(out io.Writer) error {
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return err
	}
	most := 0
	for _, file := range files {
		status, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(status), "Name:\tdeltaup\n") {
			continue // the process may have ended
		}
		for line := range strings.Lines(string(status)) {
			if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				n, err := strconv.Atoi(strings.Fields(value)[0])
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				most = max(most, n)
			}
		}
	}
	_, err = fmt.Fprintln(out, "memory", most)
	return err
}

// traceWait is how long the unit may take to notice that the boot is complete.
const traceWait = 2 * time.Minute

// takeTrace writes the trace: the unit's, or in the mode with pages that of the initramfs's
// recorder, which it ends.
func takeTrace(out io.Writer, mode string) error {
	if mode == "pages" {
		cmd := exec.Command(deltaup, "trace", "record", "-o", "-", "--until", "1ms", "--pages",
			"--image", "/dev/"+disk)
		cmd.Stdout, cmd.Stderr = out, os.Stderr
		return cmd.Run()
	}
	for range traceWait / time.Second {
		if trace, err := os.ReadFile(traceFile); err == nil {
			_, err = out.Write(trace)
			return err
		}
		time.Sleep(time.Second)
	}
	return fmt.Errorf("no %s after %v", traceFile, traceWait)
}
