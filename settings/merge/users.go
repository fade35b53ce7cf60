package merge

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The tables, by the names of their files.
const (
	passwd  = "passwd"
	group   = "group"
	shadow  = "shadow"
	gshadow = "gshadow"
)

// fields are the columns of a table, the name first.
var fields = map[string][]field{
	passwd:  {{}, {}, {is: number}, {is: number}, {}, {}, {}},
	group:   {{}, {}, {is: number}, {is: set}},
	shadow:  {{}, {}, {is: ofPassword}, {}, {}, {}, {}, {}, {}},
	gshadow: {{}, {}, {is: set}, {is: set}},
}

type field struct{ is fieldKind }

type fieldKind int

const (
	plain      fieldKind = iota
	number               // of a user or group
	set                  // names with commas between them
	ofPassword           // the day of the last change of the field before
)

// firstPerson is the first number of a person's account, UID_MIN in login.defs; lastPerson is
// UID_MAX.
const firstPerson, lastPerson = 1000, 60000

func person(id string) bool {
	n, err := strconv.Atoi(id)
	return err == nil && firstPerson <= n && n <= lastPerson
}

// Users merges a table of accounts (passwd, group, shadow or gshadow) by the names of its rows, and
// each row by its fields: what one side has changed counts. Where both have changed a field, the machine's counts, but numbers of
// the image's system accounts are the image's. Rows that only one side has are in the result; rows
// that one side has removed are not, but a row that the machine has changed stays. Members of
// groups are those of the image with what the machine added and without what it removed. Lines that
// are no rows (comments, +::: of NIS) stay where they are, as rows do.
//
// Numbers of the machine's own accounts never change: files on the data partition have them.
// Remarks are lines for people: a number that two names have now, or one that an account of the
// image has anew. It fails when a version is no such table: it has zero bytes, or is too large.
func Users(table string, base, local, image []byte) (merged []byte, remarks []string, err error) {
	if merged, ok := unchanged(base, local, image); ok {
		return merged, nil, nil
	}
	m := users{table: table, fields: fields[table]}
	if m.fields == nil {
		return nil, nil, fmt.Errorf("%s is no table of accounts", table)
	}
	var rows [3]*rows
	for i, v := range []struct {
		name string
		text []byte
	}{{"the image's old", base}, {"the machine's", local}, {"the image's", image}} {
		if rows[i], err = m.read(v.text); err != nil {
			return nil, nil, fmt.Errorf("%s %s: %w", v.name, table, err)
		}
	}
	for _, name := range rows[1].doubled {
		m.remark("%s has a second row, which is left out", name)
	}
	merged = m.merge(rows[0], rows[1], rows[2])
	m.collisions(merged, rows[1])
	return merged, m.remarks, nil
}

// Bounds of a table.
const (
	maxTable   = 4 << 20 // bytes
	maxRows    = 50_000
	maxRemarks = 100
)

// rows are the lines of a table by their keys: the name of a row; of another line, a zero byte with
// the line and how many like it come before.
type rows struct {
	order   []string
	line    map[string]string
	others  map[string]int // how often there are lines that are no rows
	doubled []string
}

type users struct {
	table   string
	fields  []field
	remarks []string
}

func (m *users) remark(format string, args ...any) {
	if len(m.remarks) == maxRemarks {
		format, args = "and more", nil
	}
	if len(m.remarks) <= maxRemarks {
		m.remarks = append(m.remarks, fmt.Sprintf(format, args...))
	}
}

func (m *users) read(text []byte) (*rows, error) {
	if len(text) > maxTable || bytes.Count(text, []byte("\n")) > maxRows {
		return nil, fmt.Errorf("more than %d bytes or %d rows", maxTable, maxRows)
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, errors.New("there are zero bytes in it")
	}
	r := &rows{line: map[string]string{}, others: map[string]int{}}
	for l := range bytes.Lines(text) {
		line := strings.TrimSuffix(string(l), "\n")
		key := line
		if name, ok := m.row(line); ok {
			if key = name; r.line[name] != "" {
				r.doubled = append(r.doubled, strconv.Quote(name))
				continue
			}
		} else {
			r.others[line]++
			key = fmt.Sprintf("\x00%d %s", r.others[line], line)
		}
		r.order, r.line[key] = append(r.order, key), line
	}
	return r, nil
}

// row gives the name of a row. A line with other fields than the table has is no row.
func (m *users) row(line string) (name string, ok bool) {
	if strings.Count(line, ":") != len(m.fields)-1 {
		return "", false
	}
	values := strings.Split(line, ":")
	name = values[0]
	if name == "" || strings.ContainsAny(name[:1], "+-#") {
		return "", false
	}
	for i, f := range m.fields {
		if f.is == number {
			if n, err := strconv.ParseUint(values[i], 10, 32); err != nil || strconv.FormatUint(n, 10) != values[i] {
				return "", false
			}
		}
	}
	return name, true
}

// other splits the key of a line that is no row.
func other(key string) (number int, line string, ok bool) {
	if key[0] != 0 {
		return 0, "", false
	}
	n, line, _ := strings.Cut(key[1:], " ")
	number, err := strconv.Atoi(n)
	return number, line, err == nil
}

// mergeCounts tells how often a line is in the result.
func mergeCounts(base, local, image int) int {
	switch base {
	case local:
		return image
	case image:
		return local
	}
	return max(local, image)
}

// merge puts the lines together in the image's order, or in the machine's when the image has not
// changed its own.
func (m *users) merge(base, local, image *rows) []byte {
	skeleton, own := image.order, only(local, image)
	if slices.Equal(base.order, image.order) {
		skeleton, own = local.order, nil
	}
	// Lines of NIS stay last: what comes behind them may not be looked at.
	end := len(skeleton)
	for end > 0 && isNIS(skeleton[end-1]) {
		end--
	}
	var out bytes.Buffer
	write := func(keys []string) {
		for _, key := range keys {
			if line, ok := m.line(key, base, local, image); ok {
				out.WriteString(line)
				out.WriteByte('\n')
			}
		}
	}
	write(skeleton[:end])
	write(slices.DeleteFunc(slices.Clone(own), isNIS))
	write(skeleton[end:])
	write(slices.DeleteFunc(own, func(key string) bool { return !isNIS(key) }))
	return out.Bytes()
}

func isNIS(key string) bool {
	_, line, _ := other(key)
	return strings.HasPrefix(line, "+") || strings.HasPrefix(line, "-")
}

// only gives the keys of the machine that the image has not, in the machine's order.
func only(local, image *rows) []string {
	var own []string
	for _, key := range local.order {
		if _, ok := image.line[key]; !ok {
			own = append(own, key)
		}
	}
	return own
}

// line gives the line of a key; it is false for one that is in the result no more.
func (m *users) line(key string, base, local, image *rows) (string, bool) {
	if n, line, ok := other(key); ok {
		return line, n <= mergeCounts(base.others[line], local.others[line], image.others[line])
	}
	b, inBase := base.line[key]
	l, inLocal := local.line[key]
	i, inImage := image.line[key]
	switch {
	case !inLocal:
		return i, inImage && !inBase
	case !inImage && inBase:
		if l != b {
			m.remark("%q is no account of the image any more, and stays: the machine has changed it", key)
		}
		return l, l != b
	case !inImage, l == i, inBase && b == i:
		return l, true
	case inBase && b == l:
		i = m.renumbered(key, l, i)
		return i, true
	}
	var none []string
	if inBase {
		none = strings.Split(b, ":")
	} else {
		none = make([]string, len(m.fields))
		none[0] = key
	}
	return m.renumbered(key, l, m.mergeRow(none, strings.Split(l, ":"), strings.Split(i, ":"), inBase)), true
}

// renumbered remarks that an account has other numbers than the machine knew.
func (m *users) renumbered(key, local, merged string) string {
	was, is := strings.Split(local, ":"), strings.Split(merged, ":")
	for f := range m.fields {
		if m.fields[f].is == number && was[f] != is[f] {
			m.remark("%q has the number %s of the image, and had %s", key, is[f], was[f])
		}
	}
	return merged
}

// collisions remarks numbers that two names have, unless the machine had it so before.
func (m *users) collisions(merged []byte, local *rows) {
	if m.table != passwd && m.table != group {
		return
	}
	holder := map[string]string{}
	for l := range bytes.Lines(merged) {
		line := strings.TrimSuffix(string(l), "\n")
		name, ok := m.row(line)
		if !ok {
			continue
		}
		id := strings.Split(line, ":")[2]
		first := holder[id]
		if first == "" {
			holder[id] = name
			continue
		}
		if !hasID(local.line[first], id) || !hasID(local.line[name], id) {
			m.remark("%q and %q both have the number %s", first, name, id)
		}
	}
}

func hasID(line, id string) bool {
	values := strings.Split(line, ":")
	return len(values) > 2 && values[2] == id
}
