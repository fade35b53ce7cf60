package patchset

import "deltaup/delta/transform"

const (
	shiftsMax      = 1 << 20 // most bytes of a set's shifts; in memory they take four times as much
	shiftTablesMax = 255
)

// readShifts reads the shifts that entries share.
func readShifts(in *input) (tables []*transform.Shifts) {
	if len(in.b) > shiftsMax {
		in.fail("%d bytes of shifts", len(in.b))
	}
	for in.err == nil && len(in.b) > 0 {
		s := new(transform.Shifts)
		for _, l := range [...]*[]transform.Shift{&s.Types, &s.Names} {
			*l = make([]transform.Shift, in.length(int64(len(in.b)/2)))
			from, by := uint64(0), int64(0)
			for i := range *l {
				from += in.number()
				(*l)[i].From = uint32(from)
			}
			for i := range *l {
				by += in.signed()
				(*l)[i].By = uint32(by)
			}
			if len(*l) == 0 {
				in.fail("no shifts")
			}
		}
		if tables = append(tables, s); len(tables) > shiftTablesMax {
			in.fail("more than %d tables of shifts", shiftTablesMax)
		}
	}
	return tables
}
