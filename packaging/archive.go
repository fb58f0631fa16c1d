package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// name is what the files for a target are called, without their end.
func (r *release) name(t target) string {
	return "keeper-privilege-manager-" + r.version + "-" + t.String()
}

// archive writes the agent root into one file, with an install script where the
// system has a shell.
func (r *release) archive(t target, root string) error {
	dir := filepath.Join(r.work, t.String(), "archive", r.name(t))
	if err := os.CopyFS(filepath.Join(dir, "root"), os.DirFS(root)); err != nil {
		return err
	}
	if t.os == "windows" {
		return r.write(r.name(t)+".zip", func(w io.Writer) error { return zipped(w, filepath.Dir(dir), r.date) })
	}
	if err := r.filled(filepath.Join("packaging", t.os, "archive/install.sh"), filepath.Join(dir, "install.sh"), t.os); err != nil {
		return err
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(r.work, "pages"))); err != nil {
		return err
	}
	if t.os == "darwin" {
		if err := copyFile("packaging/darwin/archive/pam", filepath.Join(dir, "pam"), 0o644); err != nil {
			return err
		}
	}
	if t.os == "linux" {
		for _, name := range []string{"keeper-privilege-manager.service", "pam.deb", "pam.rpm"} {
			if err := copyFile(filepath.Join("packaging/linux", name), filepath.Join(dir, name), 0o644); err != nil {
				return err
			}
		}
		// install.sh does by these what packages do.
		for _, name := range scriptNames {
			if err := r.filled(filepath.Join("packaging/linux", name+".sh"), filepath.Join(dir, "scripts", name+".sh"), t.os); err != nil {
				return err
			}
		}
	}
	return r.write(r.name(t)+".tar.gz", func(w io.Writer) error {
		compressed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
		if err != nil {
			return err
		}
		return errors.Join(tarred(compressed, filepath.Dir(dir), r.date), compressed.Close())
	})
}

// write makes one of the files that are handed out.
func (r *release) write(name string, content func(io.Writer) error) error {
	f, err := os.Create(filepath.Join(r.out, name))
	if err != nil {
		return err
	}
	return errors.Join(content(f), f.Close())
}

// tarred writes what lies in dir, as root's and of the same date, by name.
func tarred(w io.Writer, dir string, date time.Time) error {
	files := tar.NewWriter(w)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		header := tar.Header{Name: slashed(dir, name), ModTime: date, Mode: 0o755, Typeflag: tar.TypeDir}
		if d.IsDir() {
			header.Name += "/"
			return files.WriteHeader(&header)
		}
		data, mode, err := content(name)
		if err != nil {
			return err
		}
		header.Typeflag, header.Size, header.Mode = tar.TypeReg, int64(len(data)), int64(mode)
		if err := files.WriteHeader(&header); err != nil {
			return err
		}
		_, err = files.Write(data)
		return err
	})
	return errors.Join(err, files.Close())
}

// zipped is tarred for a system that has no tar.
func zipped(w io.Writer, dir string, date time.Time) error {
	files := zip.NewWriter(w)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, _, err := content(name)
		if err != nil {
			return err
		}
		f, err := files.CreateHeader(&zip.FileHeader{Name: slashed(dir, name), Method: zip.Deflate, Modified: date})
		if err == nil {
			_, err = io.Copy(f, bytes.NewReader(data))
		}
		return err
	})
	return errors.Join(err, files.Close())
}

func slashed(dir, name string) string {
	rel, _ := filepath.Rel(dir, name) // name lies in dir
	return path.Clean(filepath.ToSlash(rel))
}

// content returns a file and its mode, which is one of two.
func content(name string) ([]byte, fs.FileMode, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return nil, 0, err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	data, err := os.ReadFile(name)
	return data, mode, err
}

// gzip writes a compressed copy beside a file and returns its path.
func (r *release) gzip(name string) (string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	var small bytes.Buffer
	w, err := gzip.NewWriterLevel(&small, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(data); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return name + ".gz", os.WriteFile(name+".gz", small.Bytes(), 0o644)
}
