package core

// Terminal names the controlling terminal of a process for as long as whoever
// leads its session lives. A device's number is given away again; device and
// leader together are not.
type Terminal struct {
	Device uint64
	Leader ProcessID
}

// None reports whether there is no terminal.
func (t Terminal) None() bool { return t.Device == 0 || t.Leader.PID == 0 }
