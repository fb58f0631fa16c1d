// Package darwin makes the ports of core/port real on macOS, in files with the
// ports' names; what it has no file for is package none's.
//
// It makes calls and decides nothing. What is decided (who can change a file, who
// belongs to a launch group, whether what runs is what was sealed, what the kernel's
// structures and the system's tools say) has no build tag and is tested on every
// system: in packages file, image, kernel, launchgroup and tool, and here. No line
// of this package has run on a Mac (docs/launcher-macos.md).
package darwin
