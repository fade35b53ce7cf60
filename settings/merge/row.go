package merge

import (
	"slices"
	"strings"
)

// mergeRow merges the fields of a row that both sides have. Without a row in the base, base has the
// name alone.
func (m *users) mergeRow(base, local, image []string, inBase bool) string {
	out := make([]string, len(m.fields))
	for f := range m.fields {
		b, l, i := base[f], local[f], image[f]
		switch kind := m.fields[f].is; {
		case kind == set:
			out[f] = mergeSets(b, l, i)
		case kind == ofPassword && local[f-1] != base[f-1]:
			out[f] = l
		case kind == ofPassword && image[f-1] != base[f-1]:
			out[f] = i
		case inBase && b == l:
			out[f] = i
		case inBase && b == i:
			out[f] = l
		case kind == number && !person(image[2]):
			out[f] = i
		default:
			out[f] = l
		}
	}
	return strings.Join(out, ":")
}

// mergeSets gives the image's names, in its order, without what the machine removed, then what the
// machine added. A set that the image has not changed is the machine's as it stands.
func mergeSets(base, local, image string) string {
	b, inBase := members(base)
	l, inLocal := members(local)
	i, inImage := members(image)
	switch {
	case slices.Equal(b, i), slices.Equal(l, i):
		return local
	case slices.Equal(b, l):
		return image
	}
	out := slices.DeleteFunc(i, func(n string) bool { return inBase[n] && !inLocal[n] })
	for _, n := range l {
		if !inImage[n] && !inBase[n] {
			out = append(out, n)
		}
	}
	return strings.Join(out, ",")
}

// members are the names of a set, each once.
func members(set string) (names []string, in map[string]bool) {
	in = map[string]bool{"": true}
	for n := range strings.SplitSeq(set, ",") {
		if !in[n] {
			names = append(names, n)
		}
		in[n] = true
	}
	return names, in
}
