// Package darwin makes the ports of core/port real on macOS, in files with the
// ports' names; what it has no file for is package none's.
//
// It makes calls and decides nothing. What is decided (who can change a file, who
// belongs to a launch group, whether what runs is what was sealed, what the kernel's
// structures and the system's tools say) has no build tag for macOS and is tested on
// every system: in packages file, image, kernel, launchgroup and tool, and here. The
// launcher itself is plain Unix on an interface (system), and runs in tests on
// Linux. None of it has run on a Mac (docs/launcher-macos.md).
package darwin
