//go:build windows && !wine

package windows

// oneUser is for the build for Wine.
const oneUser = false

// seen is for the build for Wine.
func seen(f confinedFacts) confinedFacts { return f }
