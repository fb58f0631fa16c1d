package caller

// turnFolder is where everybody may have a file.
const turnFolder = "/private/tmp"

// newTurn has a file of the user's: macOS locks no terminal (xnu,
// bsd/miscfs/devfs/devfs_vnops.c, spec_advlock).
func (s screen) newTurn([]uint32) turn {
	for _, number := range s.number {
		if number == 0 {
			return turn{ownFile(turnFolder)}
		}
	}
	if s.own < 0 {
		return turn{-1}
	}
	return turn{ownFile(turnFolder)}
}
