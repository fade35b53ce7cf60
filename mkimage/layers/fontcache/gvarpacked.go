package fontcache

// pointNumbers reads numbers of points, and gives what is behind them. nil: all points.
func pointNumbers(b []byte) (numbers []uint16, rest []byte, err error) {
	if len(b) < 2 {
		if len(b) == 1 && b[0] == 0 {
			return nil, nil, nil
		}
		return nil, nil, errGvar
	}
	count := int(b[0])
	b = b[1:]
	if count&0x80 != 0 {
		count, b = count&0x7f<<8|int(b[0]), b[1:]
	}
	last := uint16(0)
	for len(numbers) < count {
		if len(b) == 0 {
			return nil, nil, errGvar
		}
		size, run := 1, int(b[0]&0x7f)+1
		if b[0]&0x80 != 0 {
			size = 2
		}
		if b = b[1:]; len(b) < size*run {
			return nil, nil, errGvar
		}
		for range run {
			last += uint16(bigEndian(b[:size]))
			numbers, b = append(numbers, last), b[size:]
		}
	}
	return numbers, b, nil
}

// endDeltas gives by how much the two points behind so many move along the line. numbers are the
// points that move; nil: all of them.
func endDeltas(b []byte, numbers []uint16, points int) (left, right float32, err error) {
	const zeros, words = 0x80, 0x40
	count := len(numbers)
	if numbers == nil {
		count = points + 4
	}
	for i := 0; i < count; {
		if len(b) == 0 {
			return 0, 0, errGvar
		}
		control, run := b[0], int(b[0]&0x3f)+1
		if b = b[1:]; control&zeros != 0 {
			i += run
			continue
		}
		size := 1
		if control&words != 0 {
			size = 2
		}
		if len(b) < size*run || i+run > count {
			return 0, 0, errGvar
		}
		for range run {
			number := i
			if numbers != nil {
				number = int(numbers[i])
			}
			delta := float32(int16(bigEndian(b[:size])<<(16-8*size)) >> (16 - 8*size))
			switch number - points {
			case 0:
				left += delta
			case 1:
				right += delta
			}
			i, b = i+1, b[size:]
		}
	}
	return left, right, nil
}
