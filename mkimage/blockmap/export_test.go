package blockmap

// PieceMin is for tests.
const PieceMin = pieceMin
