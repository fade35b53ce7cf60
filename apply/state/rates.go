package state

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"time"

	"deltaup/internal/durable"
)

// rates is what an update learns for the next quote. The file rates.json in a slot's folder is
// about the slot's medium, which cannot be measured without writing to it; the one beside the
// slots' folders is about the machine.
type rates struct {
	// Write is bytes of an image per second: written, made durable and read back.
	Write  float64 `json:"write,omitempty"`
	Decode float64 `json:"decode,omitempty"` // plain bytes of seeds per second that were read
}

// learnMin is how many plain bytes of a seed tell how quickly seeds are read.
const learnMin = 64 << 20

// What a medium or a machine can do, in bytes per second. A rate outside is not believed.
const (
	rateMin = 1e5
	rateMax = 1e11
)

func (f *Folder) ratesPath() string { return filepath.Join(f.dir, "rates.json") }

func (f *Folder) machinePath() string { return filepath.Join(filepath.Dir(f.dir), "rates.json") }

// WriteRate is how many bytes of an image per second the slot took at the last update; 0: not
// known.
func (f *Folder) WriteRate() float64 { return believable(readRates(f.ratesPath()).Write) }

// DecodeRate is how many plain bytes of a seed per second this machine read last; 0: not known.
func (f *Folder) DecodeRate() float64 { return believable(readRates(f.machinePath()).Decode) }

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

// LearnWrite keeps how long it took to write an image of size bytes, to make it durable and to read
// it back.
func (f *Folder) LearnWrite(size int64, took time.Duration) error {
	return f.keepRates(f.ratesPath(), rates{Write: float64(size) / max(took.Seconds(), 1e-6)})
}

// LearnDecode keeps how many of a seed's plain bytes were read per second. Fewer than 64 MiB do not
// tell, and a rate of 0 is none.
func (f *Folder) LearnDecode(plain int64, rate float64) error {
	if plain < learnMin || rate <= 0 {
		return nil
	}
	return f.keepRates(f.machinePath(), rates{Decode: rate})
}

func (f *Folder) keepRates(path string, r rates) error {
	for _, rate := range []*float64{&r.Write, &r.Decode} {
		if *rate > 0 {
			*rate = min(max(*rate, rateMin), rateMax)
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return durable.WriteFile(f.Tmp(), path, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(append(b, '\n')))
		return err
	})
}
