package gnuzip

import "math/bits"

// Sizes of the three alphabets of RFC 1951, 3.2.5 to 3.2.7.
const (
	endOfBlock    = 256
	firstLength   = 257
	literalCodes  = 286
	distanceCodes = 30
	lengthCodes   = 29
	bitLenCodes   = 19

	maxBits       = 15
	maxBitLenBits = 7
)

var (
	lengthExtra = [lengthCodes]uint8{
		8: 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
	}
	distanceExtra = [distanceCodes]uint8{
		4: 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
	}
	bitLenExtra = [bitLenCodes]uint8{16: 2, 3, 7}

	// bitLenOrder is the order in which a block's header lists the code lengths of the third
	// alphabet.
	bitLenOrder = [bitLenCodes]uint8{
		16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
	}

	lengthCode   [256]uint16         // code of a length, by length less minMatch
	lengthBase   [lengthCodes]uint16 // first length of a code, less minMatch
	distanceBase [distanceCodes]uint16
	nearCode     [256]uint8 // codes of distances up to 256, by distance less 1
	farCode      [256]uint8 // codes of longer distances, by (distance less 1) / 128

	staticLiterals, staticDistances codes
)

func init() {
	length := 0
	for code := range lengthCodes - 1 {
		lengthBase[code] = uint16(length)
		for range 1 << lengthExtra[code] {
			lengthCode[min(length, 255)] = uint16(code)
			length++
		}
	}
	// Length 258 has a code of its own, without extra bits.
	lengthCode[255], lengthBase[lengthCodes-1] = lengthCodes-1, 255

	distance := 0
	for code := range distanceCodes {
		distanceBase[code] = uint16(distance)
		for range 1 << distanceExtra[code] {
			if distance < 256 {
				nearCode[distance] = uint8(code)
			} else {
				farCode[distance>>7] = uint8(code)
			}
			distance++
		}
	}
	initStatic()
}

func initStatic() {
	for n := range 288 {
		switch {
		case n < 144:
			staticLiterals[n].bits = 8
		case n < 256:
			staticLiterals[n].bits = 9
		case n < 280:
			staticLiterals[n].bits = 7
		default:
			staticLiterals[n].bits = 8
		}
	}
	staticLiterals.assign(287)
	for n := range distanceCodes {
		staticDistances[n] = code{bits.Reverse16(uint16(n)) >> 11, 5}
	}
}

func distanceCode(distance uint16) uint16 {
	far := distance - 1
	if far < 256 {
		return uint16(nearCode[far])
	}
	return uint16(farCode[far>>7])
}

// code is the prefix code of one symbol: its bits in the order of writing, low bit first.
type code struct {
	value uint16
	bits  uint8
}

// codes holds the codes of an alphabet, by symbol. It has room for the largest alphabet.
type codes [288]code

// assign gives the symbols up to last their codes, which follow from the lengths (RFC 1951, 3.2.2).
func (c *codes) assign(last int) {
	var count, next [maxBits + 1]uint16
	for _, x := range c[:last+1] {
		count[x.bits]++
	}
	count[0] = 0
	for n := 1; n <= maxBits; n++ {
		next[n] = (next[n-1] + count[n-1]) << 1
	}
	for i := range c[:last+1] {
		if n := c[i].bits; n > 0 {
			c[i].value = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}
