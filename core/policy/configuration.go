package policy

import (
	"path"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/strictjson"
	"kpm/core/wire"
)

// The types of policies that write the agent's own files. They are about no program
// and no person.
const (
	TypeSettingsUpdate = "SettingsUpdate"
	TypeJobUpdate      = "JobUpdate"
)

// Limits of what policies make of files, in bytes: of one file, and of one answer.
const (
	maxFileText = 256 << 10
	maxChanges  = wire.MaxMessage / 2
)

// configuration is their kind: they grant nothing, and act on a file (Set.FileChanges).
type configuration struct{ kept }

func (configuration) extension() []string {
	return []string{"PluginName", "TargetFile", "Action", "SettingsJson", "JobId", "JobJson"}
}

// read sets Own to what the policy makes of which file, a core.FileChange. What cannot
// be read with certainty changes nothing.
func (configuration) read(r *reader, p *Policy, extension fields) {
	for _, slip := range extension.slips {
		r.doubt(slip.Value, "$.Extension", "a key that is nearly "+slip.Key, slip.Key, "until then the policy changes nothing")
	}
	var change core.FileChange
	var whole bool
	switch p.Type {
	case TypeSettingsUpdate:
		change, whole = r.settingsUpdate(extension)
	case TypeJobUpdate:
		change, whole = r.jobUpdate(extension)
	}
	if whole {
		p.Own = change
	}
}

func (r *reader) settingsUpdate(e fields) (change core.FileChange, whole bool) {
	plugin, target := r.text(e, "PluginName"), strings.ReplaceAll(r.text(e, "TargetFile"), `\`, "/")
	switch {
	case plugin != "" && target != "":
		r.doubt(e.get("TargetFile"), "$.Extension.TargetFile", "a second file", "PluginName or TargetFile alone", "")
		return change, false
	case plugin != "":
		target = "Plugins/" + plugin + ".json"
	}
	if change.File = target; !ownFile(target) {
		r.doubt(nowhere, "$.Extension.PluginName", fault.Text(target), "the id of a plugin, or in TargetFile appsettings.json, Plugins/ID.json or Jobs/ID.json", "")
		return change, false
	}
	if action := r.text(e, "Action"); action != "" && !foldEqual(action, "Update") && !foldEqual(action, "Add") {
		r.doubt(e.get("Action"), "$.Extension.Action", fault.Text(action), "Update", "")
		return change, false
	}
	change.Text, whole = r.fileText(e, "SettingsJson")
	return change, whole
}

func (r *reader) jobUpdate(e fields) (change core.FileChange, whole bool) {
	id, action := r.text(e, "JobId"), r.text(e, "Action")
	change.File = "Jobs/" + id + ".json"
	if !ownFile(change.File) || strings.Contains(id, "_") {
		r.doubt(e.get("JobId"), "$.Extension.JobId", fault.Text(id), "the id of a job: 1 to 64 letters, digits, dots and hyphens", "")
		return change, false
	}
	switch {
	case foldEqual(action, "Delete"):
		return change, true
	case foldEqual(action, "Add"), foldEqual(action, "Update"):
		change.Text, whole = r.fileText(e, "JobJson")
		return change, whole
	}
	r.doubt(e.get("Action"), "$.Extension.Action", fault.Text(action), "Add, Update or Delete", "")
	return change, false
}

// fileText reads the text of a file, which is a JSON object: written as one string, as
// it is published, or as it is.
func (r *reader) fileText(e fields, key string) (text string, whole bool) {
	at := "$.Extension." + key
	v, given := e.filled(key)
	switch {
	case !given:
		r.doubt(nowhere, at, "none", "the whole file, as one string", "")
		return "", false
	case v.IsObject():
		text = string(v.Raw())
	case !v.IsString() || v.Decode(&text) != nil:
		r.doubt(v, at, describe(v), "the whole file, as one string", "")
		return "", false
	}
	switch top, err := strictjson.Parse([]byte(text), maxFileText); {
	case len(text) > maxFileText:
		r.doubt(v, at, "a longer file", "at most 256 KiB", "")
	case err != nil:
		r.doubt(v, at, "no valid JSON ("+err.Error()+")", "the JSON object that the file is to hold", "")
	case !top.IsObject():
		r.doubt(v, at, describe(top), "the JSON object that the file is to hold", "")
	default:
		return text, true
	}
	return "", false
}

// ownFile reports whether a path is of a file that such policies may write. Programs,
// policies and what the service keeps are not among them.
func ownFile(file string) bool {
	if file == "appsettings.json" {
		return true
	}
	folder, name := path.Split(file)
	id, isJSON := strings.CutSuffix(name, ".json")
	return isJSON && core.ValidName(id) && (folder == "Plugins/" || folder == "Jobs/")
}

// compile hands on what read has found.
func (configuration) compile(_ *compiler, p *Policy) filter {
	change, whole := p.Own.(core.FileChange)
	if !whole {
		return nil
	}
	return fileChange{change}
}

// fileChange narrows nothing.
type fileChange struct{ change core.FileChange }

func (fileChange) match(asked) strength { return full }

// FileChanges returns what policies make of the agent's own files at that time on that
// machine. A policy acts only if everything in it can be read; whom it names is of no
// account, since a file is everybody's.
func (s *Set) FileChanges(machine string, at time.Time) core.FileChanges {
	var list core.FileChanges
	kind := s.of(TypeSettingsUpdate)
	if kind == nil {
		return list
	}
	a := asked{q: Question{Time: at}, machine: machineName(machine)}
	size := 0
	for i := range kind.enforcing.rules {
		r := &kind.enforcing.rules[i]
		own, acts := r.own.(fileChange)
		if !acts || !r.certain || !r.now(&a) {
			continue
		}
		change := own.change
		change.PolicyRef = r.ref()
		if size += len(change.ID) + len(change.Name) + len(change.File) + len(change.Text); size > maxChanges {
			list.More++
			continue
		}
		list.Changes = append(list.Changes, change)
	}
	return list
}
