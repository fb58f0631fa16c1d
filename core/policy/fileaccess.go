package policy

import (
	"strings"

	"kpm/core/fault"
)

// TypeFileAccess is the policy type that answers whether a person may open a file,
// or run a program without further rights.
const TypeFileAccess = "FileAccess"

// fileAccess is the kind of question that keepersudo --file-access asks, and whoever
// watches programs being started. The file takes the place of the program.
type fileAccess struct{}

func (fileAccess) extension() []string { return []string{"Folders"} }

// read sets Own to Folders, a []string; one that is unset, or cannot be read, leaves
// it nil and narrows nothing.
func (fileAccess) read(r *reader, p *Policy, extension fields) {
	v, given := extension.filled("Folders")
	if !given {
		return
	}
	list, whole := r.texts(v, "$.Extension.Folders")
	switch {
	case !whole:
	case len(list) == 0:
		r.doubt(v, "$.Extension.Folders", "an empty list", "folders", "leave the key out to mean files anywhere")
	default:
		p.Own = list
	}
}

func (fileAccess) everyProgram(*Policy) bool { return false }

// own is empty: a question about a file asks for nothing beyond it.
func (fileAccess) own(any) (any, bool) { return nil, true }

// compile reads folders as they are documented: variables have their meaning, "*"
// is a character like any other, and what is below a folder is in it.
func (fileAccess) compile(c *compiler, p *Policy) filter {
	entries, _ := p.Own.([]string)
	if p.Own == nil {
		return nil
	}
	var own folderList
	for i, entry := range entries {
		c.at("$.Extension.Folders", i)
		folder, unknown := c.env.expand(entry)
		folder = strings.TrimRight(c.env.slashes(folder), "/")
		if unknown != "" || !c.env.absolute(folder) || c.env.clean(folder) != c.env.collapse(folder) {
			c.doubt(fault.Text(entry), "an absolute folder", "")
			own.open = true
			continue
		}
		own.folders = append(own.folders, c.env.follow(c.env.clean(folder))+"/")
	}
	own.open = own.open || len(own.folders) == 0
	return &own
}

// folderList is the compiled Folders. open restricts files everywhere: nobody knows
// where they were to be.
type folderList struct {
	folders []string // each with "/" at its end
	open    bool
}

func (w *folderList) match(a asked) strength {
	if w.holds(a.path) {
		return full
	}
	if w.open {
		return restricts
	}
	for _, other := range a.others() {
		if w.holds(other) {
			return restricts
		}
	}
	for _, link := range a.links {
		if w.holds(link) {
			return restricts
		}
	}
	return nothing
}

func (w *folderList) holds(path string) bool {
	for _, folder := range w.folders {
		if strings.HasPrefix(path, folder) {
			return true
		}
	}
	return false
}

// inFolders returns where the files lie that are named alone, if folders of the policy
// say so. Without that a name grants in the system's own directories only, and a data
// file is in none.
func (w *folderList) inFolders(named []program) (list []program) {
	plain := &folderList{}
	for _, folder := range w.folders {
		if !strings.Contains(folder, "*") { // there it is a character
			plain.folders = append(plain.folders, folder)
		}
	}
	for i := range named {
		if p := &named[i]; p.kind == byName || p.kind == byNamePattern {
			for _, text := range p.placed(plain) {
				if g := parseGlob(text); g.literal {
					list = append(list, program{kind: byPath, text: text})
				} else {
					list = append(list, program{kind: byPattern, glob: g})
				}
			}
		}
	}
	return list
}
