package plugins

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Secret reports whether a plugin's file calls a setting secret, under either of
// the names of what lies below metadata.
func (o *Orchestrator) Secret(id, key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, ok := o.find(id)
	if !ok || p.manifest == nil {
		return false
	}
	return slices.ContainsFunc(p.manifest.Secrets, func(s string) bool { return strings.EqualFold(bare(s), bare(key)) })
}

func bare(key string) string {
	const prefix = "metadata."
	if len(key) > len(prefix) && strings.EqualFold(key[:len(prefix)], prefix) {
		return key[len(prefix):]
	}
	return key
}

// FixedSetting says why a setting of a plugin cannot be put; empty if it can.
// Attack: a plugin would give itself topics, or another program, by a setting that
// looks like its file; and whoever puts what only the file decides would be told
// that it holds.
func (o *Orchestrator) FixedSetting(key string) string {
	first, _, _ := strings.Cut(bare(key), ".")
	for _, of := range []reflect.Type{reflect.TypeFor[manifestFile](), reflect.TypeFor[metadataFile]()} {
		for i := range of.NumField() {
			if strings.EqualFold(of.Field(i).Tag.Get("json"), first) {
				return fmt.Sprintf("%s is what the plugin's file says: change it there and reload", key)
			}
		}
	}
	return ""
}

// FileID returns the id as the plugin's file is called, for one in any letter
// case.
func (o *Orchestrator) FileID(id string) string {
	if p, ok := o.plugin(id); ok {
		return p.id
	}
	return id
}
