package sudo

import "strings"

// setFile takes the FILE of --file-access. A name without a slash is one in the
// working directory, and not a program's.
func setFile(o *options, file string) *failure {
	if file == "" {
		return misuse("--file-access names no file")
	}
	if !isPath(file) {
		file = "./" + file
	}
	if strings.HasSuffix(file, "/") {
		return misuse("--file-access is for one file, and not for the folder " + file)
	}
	o.fileAccess, o.command = true, []string{file}
	return nil
}
