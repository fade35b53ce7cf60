package settings

import "sort"

// sortBy sorts by a key. An instance of slices.SortFunc for each type would add some 20 kB to the
// command for targets.
func sortBy[T any](all []T, key func(*T) string) { sort.Sort(&sorter[T]{all, key}) }

type sorter[T any] struct {
	all []T
	key func(*T) string
}

func (s *sorter[T]) Len() int           { return len(s.all) }
func (s *sorter[T]) Less(i, j int) bool { return s.key(&s.all[i]) < s.key(&s.all[j]) }
func (s *sorter[T]) Swap(i, j int)      { s.all[i], s.all[j] = s.all[j], s.all[i] }

func xattrName(x *Xattr) string { return x.Name }
