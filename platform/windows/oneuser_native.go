//go:build windows && !wine

package windows

// oneUser is for the build for Wine.
const oneUser = false
