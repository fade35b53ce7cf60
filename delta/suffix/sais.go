package suffix

// sorted gives the suffix array of text: the starts of its suffixes in their order. It takes linear
// time by the algorithm SA-IS (Nong, Zhang, Chan: "Two Efficient Algorithms for Linear Time Suffix
// Array Construction"), whose terms L, S and LMS this file uses.
func sorted(text []byte) []int32 {
	sa := make([]int32, len(text))
	induce(text, sa, 255)
	return sa
}

// induce fills sa, which is as long as text, with the suffix array of text. The symbols of text are
// 0 to upper.
func induce[T byte | int32](text []T, sa []int32, upper int) {
	n := len(text)
	if n < 2 {
		clear(sa)
		return
	}
	s := newSorter(text, sa, upper)
	var lms []int32 // starts of the leftmost S suffixes (LMS), in the order of text
	for i := 1; i < n; i++ {
		if s.lms(i) {
			lms = append(lms, int32(i))
		}
	}
	s.sort(lms)
	if len(lms) == 0 {
		return
	}
	// The LMS substrings are in order now. Number them, equal ones alike. The suffix array of the
	// shorter text of these numbers gives the order of the LMS suffixes.
	order := make([]int32, 0, len(lms))
	for _, v := range sa {
		if s.lms(int(v)) {
			order = append(order, v)
		}
	}
	names := s.names(lms, order)
	shorter := make([]int32, len(lms))
	for i, start := range lms {
		shorter[i] = names.of(start)
	}
	induce(shorter, order, names.top)
	for i, v := range order {
		order[i] = lms[v]
	}
	s.sort(order)
}

// sorter is the state of the induced sorting of one text.
type sorter[T byte | int32] struct {
	text   []T
	sa     []int32
	small  []uint64 // bit i: suffix i is S type, smaller than suffix i+1
	first  []int32  // by symbol: where its L suffixes begin in sa
	firstS []int32  // by symbol: where its S suffixes begin in sa
	at     []int32  // by symbol: next free place in sa; scratch of sort
}

func newSorter[T byte | int32](text []T, sa []int32, upper int) *sorter[T] {
	n := len(text)
	s := &sorter[T]{text: text, sa: sa, small: make([]uint64, n/64+1),
		first: make([]int32, upper+2), firstS: make([]int32, upper+1), at: make([]int32, upper+2)}
	isS := false
	for i := n - 1; i >= 0; i-- {
		if i < n-1 {
			isS = text[i] < text[i+1] || text[i] == text[i+1] && isS
		}
		if isS {
			s.small[i>>6] |= 1 << (i & 63)
			s.first[int(text[i])+1]++
		} else {
			s.firstS[text[i]]++
		}
	}
	// A symbol's L suffixes come before its S suffixes.
	sum := int32(0)
	for c := range s.firstS {
		countS := s.first[c+1]
		s.first[c] = sum
		s.firstS[c] += sum
		sum = s.firstS[c] + countS
	}
	s.first[upper+1] = sum
	return s
}

func (s *sorter[T]) isS(i int) bool { return s.small[i>>6]>>(i&63)&1 != 0 }

// lms tells whether suffix i is S type and the one before it is not.
func (s *sorter[T]) lms(i int) bool { return i > 0 && s.isS(i) && !s.isS(i-1) }

// sort induces the order of all suffixes from that of the LMS suffixes.
func (s *sorter[T]) sort(lms []int32) {
	text, sa, at := s.text, s.sa, s.at
	n := len(text)
	for i := range sa {
		sa[i] = -1
	}
	copy(at, s.firstS)
	for _, v := range lms {
		c := text[v]
		sa[at[c]] = v
		at[c]++
	}
	copy(at, s.first)
	c := text[n-1]
	sa[at[c]] = int32(n - 1)
	at[c]++
	for i := range sa {
		if v := sa[i] - 1; v >= 0 && !s.isS(int(v)) {
			c := text[v]
			sa[at[c]] = v
			at[c]++
		}
	}
	copy(at, s.first)
	for i := n - 1; i >= 0; i-- {
		if v := sa[i] - 1; v >= 0 && s.isS(int(v)) {
			c := int(text[v]) + 1
			at[c]--
			sa[at[c]] = v
		}
	}
}

// names holds the numbers of LMS substrings. No two of them start at neighbouring places, so half
// of the start serves as index.
type names struct {
	at  []int32
	top int
}

func (n *names) of(start int32) int32 { return n.at[start>>1] }

// names numbers the LMS substrings by their order; equal ones get the same number.
func (s *sorter[T]) names(lms, order []int32) *names {
	end := make([]int32, len(s.text)/2+1) // where each LMS substring ends, by half of its start
	for i, start := range lms {
		stop := len(s.text)
		if i+1 < len(lms) {
			stop = int(lms[i+1])
		}
		end[start>>1] = int32(stop)
	}
	n := &names{at: make([]int32, len(s.text)/2+1)}
	for i := 1; i < len(order); i++ {
		a, b := order[i-1], order[i]
		if !s.equal(a, end[a>>1], b, end[b>>1]) {
			n.top++
		}
		n.at[b>>1] = int32(n.top)
	}
	return n
}

// equal compares two LMS substrings, with the symbol at which the next one starts.
func (s *sorter[T]) equal(a, aEnd, b, bEnd int32) bool {
	n := int32(len(s.text))
	if aEnd-a != bEnd-b || aEnd == n || bEnd == n {
		return false
	}
	for ; a <= aEnd; a, b = a+1, b+1 {
		if s.text[a] != s.text[b] {
			return false
		}
	}
	return true
}
