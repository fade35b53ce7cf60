package patchset

// columnNames names the streams of a head in tables.
var columnNames = [numColumns]string{
	"recipe header",
	"recipe renames",
	"recipe steps",
	"recipe paths",
	"recipe flags",
	"recipe attributes",
	"recipe times",
	"recipe texts",
	"recipe contents",
	"recipe sizes",
	"recipe ids",
	"recipe chunks",
	"recipe order",
	"directory kinds",
	"directory bases",
	"directory transforms",
	"directory lengths",
	"directory pieces",
	"directory groups",
	"directory shifts",
	"directory shifted",
	"directory checks",
}

// add adds the sizes of a bundle.
func (s *Stats) add(names []string, sizes []streamSize) {
next:
	for i, z := range sizes {
		if z.plain == 0 {
			continue
		}
		one := StreamStats{names[i], coders[z.coder].name, int64(z.plain), int64(z.stored)}
		for k := range s.Streams {
			if t := &s.Streams[k]; t.Stream == one.Stream && t.Coder == one.Coder {
				t.Plain += one.Plain
				t.Stored += one.Stored
				continue next
			}
		}
		s.Streams = append(s.Streams, one)
	}
}
