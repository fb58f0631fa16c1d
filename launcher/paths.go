package launcher

import (
	"path/filepath"
	"slices"

	"kpm/core"
	"kpm/core/port"
)

// pathsFit reports whether a decision speaks of arguments that there are.
func pathsFit(paths []core.PathArgument, argv []string) bool {
	if len(paths) > core.MaxPathArguments {
		return false
	}
	seen := map[int]bool{}
	for _, p := range paths {
		if p.Argument < 1 || p.Argument >= len(argv) || p.Offset < 0 || p.Offset >= len(argv[p.Argument]) || seen[p.Argument] ||
			!filepath.IsAbs(p.Path) || filepath.Clean(p.Path) != p.Path {
			return false
		}
		seen[p.Argument] = true
	}
	return true
}

// arguments makes the arguments that were decided on as files lead there and
// nowhere else: to a path that administrators alone can change, or else to the
// open file. The caller closes what is opened.
//
// Attack: "chown web {path:/srv/web/*}" is decided on while /srv/web/x is a file,
// and by the time chown opens it, it is a link to /etc/shadow.
func (l *Launcher) arguments(e *elevation) (argv []string, opened []port.Opened, err error) {
	argv = e.sealed.Subject.Argv
	paths := e.req.Paths()
	if len(paths) == 0 || l.where(e) != nil { // with the caller's rights it opens what they could
		return argv, nil, nil
	}
	argv = slices.Clone(argv)
	defer func() {
		if err != nil {
			closeOpened(opened)
		}
	}()
	for _, p := range paths {
		file, protected, err := l.cfg.Sealer.Argument(p.Path)
		if err != nil {
			l.cfg.Log.Info("argument refused", "request", e.id, "path", p.Path, "error", err)
			return nil, opened, err
		}
		if protected {
			file.Close()
			argv[p.Argument] = argv[p.Argument][:p.Offset] + p.Path
			continue
		}
		opened = append(opened, port.Opened{Argument: p.Argument, Offset: p.Offset, File: file})
	}
	return argv, opened, nil
}

func closeOpened(opened []port.Opened) {
	for _, o := range opened {
		o.File.Close()
	}
}
