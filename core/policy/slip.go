package policy

// oneSlip reports whether a and b differ by one slip of the keyboard: one
// character added, left out or replaced, or two neighbours swapped. Letters
// count as equal in either case.
func oneSlip(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && lower(a[i]) == lower(b[i]) {
		i++
	}
	if len(a) < len(b) {
		return foldEqual(a[i:], b[i+1:])
	}
	if i == len(a) {
		return false // equal
	}
	if foldEqual(a[i+1:], b[i+1:]) {
		return true
	}
	return i+1 < len(a) && lower(a[i]) == lower(b[i+1]) && lower(a[i+1]) == lower(b[i]) &&
		foldEqual(a[i+2:], b[i+2:])
}

// foldEqual compares like strings.EqualFold, for ASCII only: a policy key is
// not to be spelled with a Kelvin sign.
func foldEqual(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
