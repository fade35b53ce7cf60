package bench

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
)

// cutSeconds is about how long a pull that is to be cut off would take, so that it still runs when
// half of its bytes are there.
const cutSeconds = 8

// cut kills a pull of an update's image without a seed when it has half of its bytes, and the next
// one, which has the state folder of the first, at its first byte of data.
func (s *session) cut(u update) (c Cut, err error) {
	t := &target{
		subject: &s.report.Subject, deltaup: s.deltaup, of: "image", kept: u.mirror,
		network: s.network,
	}
	err = s.withTarget(s.ctx, t, Line{}, false, func() error {
		args := []string{
			t.url, "--slot", t.out, "--state", filepath.Join(filepath.Dir(t.out), "cut"), "--json",
			"--route", "chunks",
		}
		var quoted, fetched int64
		// until tells of each line of an output whether a share of the bytes has come with it.
		until := func(share float64) func([]byte) bool {
			quoted, fetched = 0, 0
			return func(line []byte) bool {
				var e struct {
					Event, Stage       string
					Bytes, Done, Total int64
				}
				if json.Unmarshal(line, &e) != nil {
					return false // wait reports a command that fails
				}
				switch {
				case e.Event == "quote":
					quoted = e.Bytes
				case e.Event == "progress" && e.Stage == "fetch":
					fetched = e.Done
					return e.Done > 0 && float64(e.Done) >= share*float64(e.Total)
				}
				return false
			}
		}
		rate := strconv.FormatInt(max(sizeOf(u.seed)/cutSeconds, 64<<10), 10)
		first := append(args, "--limit-rate", rate)
		if _, err := t.cut(s.ctx, until(0.5), s.deltaup.path, s.deltaup.command("pull", first...)...); err != nil {
			return err
		}
		c.Whole, c.Fetched = quoted, fetched
		c.Again, err = t.cut(s.ctx, until(0), s.deltaup.path, s.deltaup.command("pull", args...)...)
		c.Left = quoted
		return err
	}, new(sample))
	if err == nil && c.Fetched+c.Left > c.Whole+c.Whole/10 {
		err = fmt.Errorf("of %d bytes %d were fetched, and %d after the cut", c.Whole, c.Fetched, c.Left)
	}
	return c, err
}
