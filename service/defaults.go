package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	jobdefaults "kpm/jobs/defaults"
	plugindefaults "kpm/plugins/defaults"
	"kpm/settings"
)

// writeDefaults writes what the root lacks, beside what has begun without that.
func (s *service) writeDefaults(_ context.Context, o Options) (err error) {
	s.written, err = WriteDefaults(o.Root)
	return err
}

// WriteDefaults writes the files of the bundled plugins and jobs that root
// lacks, and returns their paths. A file that is there is never touched: a
// default is switched off by a file that says "enabled": false, not by deleting
// it.
func WriteDefaults(root string) ([]string, error) {
	layout := settings.At(root, "")
	var written []string
	for _, set := range []struct {
		files fs.FS
		dir   string
	}{{plugindefaults.Files, layout.Plugins()}, {jobdefaults.Files, layout.Jobs()}} {
		for _, dir := range []string{set.dir, layout.Policies()} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return written, fmt.Errorf("service: defaults: %w", err)
			}
		}
		names, err := fs.Glob(set.files, "*.json")
		if err != nil {
			return written, fmt.Errorf("service: defaults: %w", err)
		}
		there, err := os.ReadDir(set.dir)
		if err != nil {
			return written, fmt.Errorf("service: defaults: %w", err)
		}
		for _, name := range names {
			if slices.ContainsFunc(there, func(e os.DirEntry) bool { return e.Name() == name }) {
				continue // which costs less than to try
			}
			path := filepath.Join(set.dir, name)
			switch err := writeNew(set.files, name, path); {
			case errors.Is(err, fs.ErrExist):
			case err != nil:
				return written, fmt.Errorf("service: defaults: %w", err)
			default:
				written = append(written, path)
			}
		}
	}
	return written, nil
}

func writeNew(files fs.FS, name, path string) error {
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
