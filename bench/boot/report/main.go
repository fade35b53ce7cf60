// Command report reads the reports of bench/boot.sh's machines, IN/WAY.DISK.ROUND.report. It prints
// a table of medians and writes OUT/boot.md, OUT/boot.json and, for each disk, OUT/DISK.svg: where
// on the disk each request lies, over time.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: report IN OUT")
		os.Exit(2)
	}
	if err := report(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// subject is one way of booting from one disk.
type subject struct{ way, disk string }

// Orders of tables and pictures. Anything else comes first.
var (
	ways  = []string{"path", "msqfs", "trace", "loop", "prefetch"}
	disks = []string{"free", "hdd", "emmc"}
)

// titles describes the ways.
var titles = map[string]string{
	"path": "path order", "msqfs": "mksquashfs zstd-15", "trace": "trace order",
	"loop": "trace order, loop device", "prefetch": "trace order, loop device, prefetch",
}

func report(in, out string) error {
	boots, err := readAll(in)
	if err != nil {
		return err
	}
	if len(boots) == 0 {
		return fmt.Errorf("%s: no reports", in)
	}
	var order []subject
	for s := range boots {
		order = append(order, s)
	}
	slices.SortFunc(order, func(a, b subject) int {
		return cmp.Or(
			cmp.Compare(slices.Index(disks, a.disk), slices.Index(disks, b.disk)),
			cmp.Compare(slices.Index(ways, a.way), slices.Index(ways, b.way)),
			cmp.Compare(a.disk, b.disk),
			cmp.Compare(a.way, b.way),
		)
	})
	var rows []row
	for _, s := range order {
		rows = append(rows, summarize(s, boots))
	}
	var page bytes.Buffer
	writePage(&page, rows)
	fmt.Print(page.String())
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	files := map[string][]byte{"boot.md": page.Bytes(), "boot.json": append(text, '\n')}
	for disk, panels := range panelsByDisk(order, boots) {
		var svg strings.Builder
		draw(&svg, disk, panels)
		files[disk+".svg"] = []byte(svg.String())
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(out, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// readAll reads the reports of a folder.
func readAll(dir string) (map[subject][]boot, error) {
	files, err := fs.Glob(os.DirFS(dir), "*.report")
	if err != nil {
		return nil, err
	}
	boots := make(map[subject][]boot)
	for _, file := range files {
		part := strings.Split(file, ".")
		if len(part) != 4 {
			continue
		}
		b, err := readBoot(filepath.Join(dir, file))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		s := subject{part[0], part[1]}
		boots[s] = append(boots[s], b)
	}
	return boots, nil
}

// panelsByDisk makes a panel of the middle boot of each subject.
func panelsByDisk(order []subject, boots map[subject][]boot) map[string][]panel {
	panels := make(map[string][]panel)
	for _, s := range order {
		b := slices.Clone(boots[s])
		slices.SortStableFunc(b, func(x, y boot) int { return cmp.Compare(x.seconds, y.seconds) })
		panels[s.disk] = append(panels[s.disk], panel{s.way, b[len(b)/2]})
	}
	return panels
}
