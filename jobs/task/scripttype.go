package task

import (
	"slices"
	"strings"
)

// scriptType is one row of the table of scriptTypes: which interpreter runs the task's
// file. Auto has none: the file is executed itself, by what its first line names.
type scriptType struct {
	name     string
	programs []string // the first that there is, by name on the secure path
	options  []string // before the file
	suffixes []string // of a command's file below Jobs/bin
}

func scriptTypes() []scriptType {
	return []scriptType{
		{name: "Auto"},
		{"Shell", []string{"sh"}, nil, []string{"", ".sh"}},
		{"Bash", []string{"bash"}, nil, []string{"", ".sh"}},
		{"PowerShell", []string{"pwsh", "powershell"}, []string{"-NoProfile", "-NonInteractive", "-File"}, []string{".ps1", ""}},
		{"Python", []string{"python3", "python"}, nil, []string{"", ".py"}},
	}
}

func scriptTypeNames() string {
	var names []string
	for _, t := range scriptTypes() {
		names = append(names, t.name)
	}
	return strings.Join(names, ", ")
}

// findScriptType finds a row; an empty name is Auto.
func findScriptType(name string) (scriptType, bool) {
	list := scriptTypes()
	i := slices.IndexFunc(list, func(t scriptType) bool { return strings.EqualFold(t.name, name) })
	if name == "" {
		i = 0
	}
	if i < 0 {
		return scriptType{}, false
	}
	return list[i], true
}
