package admincli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/api/client"
	"kpm/core/policy"
	"kpm/core/view"
	"kpm/settings"
)

// review collects what is wrong, by file.
type review struct{ faults, notes map[string][]string }

func (e *endpoint) checkConfig(cmd *cobra.Command) (checked, error) {
	layout, err := e.layout()
	if err != nil {
		return checked{}, err
	}
	r := review{map[string][]string{}, map[string][]string{}}
	app, err := settings.LoadApp(layout.AppSettings(), e.Host(layout.Root()).Files.ReadProtected)
	if err != nil {
		if denied(err) {
			return checked{}, err
		}
		r.faults[layout.AppSettings()] = []string{err.Error()}
	}
	for _, key := range app.Unknown {
		r.notes[layout.AppSettings()] = append(r.notes[layout.AppSettings()], fmt.Sprintf("nothing reads %s: is it misspelt?", key))
	}
	layout = settings.At(layout.Root(), app.PluginPath)
	e.reviewPolicies(layout, r)
	running := true
	switch err := e.reviewRunning(cmd.Context(), layout, r); {
	case errors.Is(err, client.ErrNotRunning):
		running = false
		err = e.reviewFolders(layout, r)
		if err != nil {
			return checked{}, err
		}
	case err != nil:
		return checked{}, err
	}
	return checked{running, sorted(r.faults), sorted(r.notes)}, cmd.Context().Err()
}

// reviewPolicies reads policies as KeeperPolicy does.
func (e *endpoint) reviewPolicies(layout settings.Layout, r review) {
	set := e.Policies(PolicyFiles{Root: layout.Root(), Paths: []string{layout.Policies()}})
	for _, f := range set.Review(time.Now()) {
		into := r.faults
		if f.Severity == policy.Note {
			into = r.notes
		}
		into[f.File] = append(into[f.File], strings.TrimPrefix(f.Error(), f.File+": "))
	}
}

// reviewRunning asks the service about plugins and jobs.
func (e *endpoint) reviewRunning(ctx context.Context, layout settings.Layout, r review) error {
	var jobs []view.Job
	if err := e.get(ctx, "/api/Jobs", &jobs); err != nil {
		return err
	}
	for _, job := range jobs {
		file := filepath.Join(layout.Jobs(), job.ID+".json")
		switch {
		case job.Detail == "":
		case job.Priority == 0: // it could not be read
			r.faults[file] = append(r.faults[file], job.Detail)
		default:
			r.notes[file] = append(r.notes[file], job.Detail)
		}
	}
	var plugins []view.Plugin
	if err := e.get(ctx, "/api/plugins", &plugins); err != nil {
		return err
	}
	for _, p := range plugins {
		var items []view.Check
		if err := e.get(ctx, "/api/plugins/"+url.PathEscape(p.ID)+"/check", &items); err != nil {
			return err
		}
		file := filepath.Join(layout.Plugins(), p.ID+".json")
		for _, c := range items {
			switch {
			case c.Outcome != view.Fail:
			case wanted(p, c): // no remedy: it may well stay so
				r.notes[file] = append(r.notes[file], c.Title+": "+c.Found)
			default:
				r.faults[file] = append(r.faults[file], strings.TrimSuffix(c.Title+": "+c.Found+": "+c.Remedy, ": "))
			}
		}
	}
	return nil
}

// staysUp is the item of the published checklist that a stopped plugin fails whatever
// its file says.
const staysUp = 10

// wanted reports whether a check says no more than that a plugin is stopped. Somebody
// has stopped it, or its file has: what else is wrong with it is wrong all the same.
func wanted(p view.Plugin, c view.Check) bool {
	return p.Status == view.Stopped && (c.Item == staysUp || c.Found == p.Detail)
}

// reviewFolders reads plugin and job files as far as that goes without the service.
func (e *endpoint) reviewFolders(layout settings.Layout, r review) error {
	for _, folder := range []string{layout.Plugins(), layout.Jobs()} {
		files, err := filepath.Glob(filepath.Join(folder, "*.json"))
		if err != nil {
			return err
		}
		for _, file := range files {
			data, err := e.Host(layout.Root()).Files.ReadProtected(file, settings.MaxAppSettings)
			switch {
			case denied(err):
				return err
			case err != nil:
				r.faults[file] = append(r.faults[file], err.Error())
			case !json.Valid(data):
				_, err := settings.ParseDocument(file, data)
				r.faults[file] = append(r.faults[file], err.Error())
			}
		}
	}
	return nil
}

// denied reports whether this process may not read a file: that says nothing about
// the file.
func denied(err error) bool { return errors.Is(err, fs.ErrPermission) }
