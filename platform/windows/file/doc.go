// Package file opens files on Windows by name and by handle, and says whether
// administrators alone can change them. It is apart from package windows for
// plugins that read files and nothing else.
package file
