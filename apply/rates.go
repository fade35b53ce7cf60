package apply

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"time"

	"deltaup/internal/durable"
)

// rates is what an update learns of a slot's medium, which cannot be measured without writing to it. It is kept in the state folder for the next quote.
type rates struct {
	Write float64 `json:"write"` // bytes of an image per second: written, made durable and read back
}

// What a medium can do, in bytes per second; whoever says otherwise is not believed.
const (
	rateMin = 1e5
	rateMax = 1e11
)

func (s *state) ratesPath() string { return filepath.Join(s.dir, "rates.json") }

// rates reads what the last update learned. What is missing or makes no sense is 0.
func (s *state) rates() rates {
	var r rates
	b, err := readStart(s.ratesPath(), 4<<10)
	if err != nil || json.Unmarshal(b, &r) != nil || r.Write < rateMin || r.Write > rateMax {
		return rates{}
	}
	return r
}

// readStart reads a file up to limit bytes.
func readStart(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	return io.ReadAll(io.LimitReader(f, limit))
}

// learn keeps how long it took to write an image and to prove it.
func (s *state) learn(size int64, took time.Duration) error {
	b, err := json.Marshal(rates{Write: min(max(float64(size)/max(took.Seconds(), 1e-6), rateMin), rateMax)})
	if err != nil {
		return err
	}
	return durable.WriteFile(s.tmp(), s.ratesPath(), func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(append(b, '\n')))
		return err
	})
}
