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

// rates is what an update learns for the next quote, in the file rates.json: in a slot's folder of
// the slot's medium, which cannot be measured without writing to it; beside these folders of the
// machine.
type rates struct {
	Write  float64 `json:"write,omitempty"`  // bytes of an image per second: written, made durable and read back
	Decode float64 `json:"decode,omitempty"` // plain bytes of seeds per second that were read
}

// learnMin is how many plain bytes of a seed tell how quickly seeds are read.
const learnMin = 64 << 20

// What a medium or a machine can do, in bytes per second; whoever says otherwise is not believed.
const (
	rateMin = 1e5
	rateMax = 1e11
)

func (s *state) ratesPath() string { return filepath.Join(s.dir, "rates.json") }

func (s *state) machinePath() string { return filepath.Join(filepath.Dir(s.dir), "rates.json") }

// writeRate is what the last update learned of the slot, decodeRate what the last one that read a
// seed learned of the machine. What is missing or makes no sense is 0.
func (s *state) writeRate() float64  { return believable(readRates(s.ratesPath()).Write) }
func (s *state) decodeRate() float64 { return believable(readRates(s.machinePath()).Decode) }

func readRates(path string) (r rates) {
	b, err := readStart(path, 4<<10)
	if err != nil || json.Unmarshal(b, &r) != nil {
		return rates{}
	}
	return r
}

func believable(rate float64) float64 {
	if rate < rateMin || rate > rateMax {
		return 0
	}
	return rate
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
	return s.keepRates(s.ratesPath(), rates{Write: float64(size) / max(took.Seconds(), 1e-6)})
}

// learnDecode keeps how quickly a seed of so many plain bytes was read, if they are enough to tell.
func (s *state) learnDecode(plain int64, rate float64) error {
	if plain < learnMin || rate <= 0 {
		return nil
	}
	return s.keepRates(s.machinePath(), rates{Decode: rate})
}

func (s *state) keepRates(path string, r rates) error {
	for _, rate := range []*float64{&r.Write, &r.Decode} {
		if *rate > 0 {
			*rate = min(max(*rate, rateMin), rateMax)
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return durable.WriteFile(s.tmp(), path, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(append(b, '\n')))
		return err
	})
}
