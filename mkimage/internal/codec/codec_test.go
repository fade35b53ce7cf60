package codec

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
)

func TestTable(t *testing.T) {
	table := Zstd("kind", 7)
	for i, want := range []Codec{
		{"fastest", "kind-fastest.7", zstd.SpeedFastest},
		{"default", "kind-default.7", zstd.SpeedDefault},
		{"better", "kind-better.7", zstd.SpeedBetterCompression},
		{"best", "kind-best.7", zstd.SpeedBestCompression},
	} {
		if id, err := table.ForLevel(want.level); err != nil || id != want.ID {
			t.Errorf("level %s is %q, %v", want.level, id, err)
		}
		if c, err := table.Find(want.ID); err != nil || *c != want || !table.Has(want.ID) {
			t.Errorf("%s is %+v, %v", want.ID, c, err)
		}
		if table.Levels()[i] != want.level {
			t.Errorf("levels %v", table.Levels())
		}
	}
	if len(table) != 4 || !slices.IsSortedFunc(table, func(a, b Codec) int { return int(a.Speed) - int(b.Speed) }) {
		t.Errorf("codecs %+v", table)
	}
}

func TestForLevel(t *testing.T) {
	table := Zstd("kind", 1)
	if id, err := table.ForLevel(""); err != nil || id != "kind-best.1" {
		t.Errorf("the empty level is %q, %v", id, err)
	}
	if _, err := table.ForLevel("ultra"); !errors.Is(err, errUnknownLevel) || !strings.Contains(err.Error(), "fastest, default, better, best") {
		t.Errorf("an unknown level: %v", err)
	}
}

func TestFindUnknown(t *testing.T) {
	for _, id := range []string{"", "kind-best.2", "other-best.1", "best"} {
		_, err := Zstd("kind", 1).Find(id)
		if !errors.Is(err, ErrUnknown) || !errors.Is(err, chunkstore.ErrVersion) || Zstd("kind", 1).Has(id) {
			t.Errorf("%q: %v", id, err)
		}
	}
}
