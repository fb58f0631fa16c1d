package service

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kpm/core/filewatch"
	"kpm/core/wire"
)

// What has changed is read when files have been quiet for a while, and at the latest
// after the limit: policies sooner, since a new one may be a refusal.
const (
	quiet            = 300 * time.Millisecond
	quietLimit       = 3 * time.Second
	quietPolicies    = 100 * time.Millisecond
	quietPolicyLimit = 2 * time.Second
	// maxWatched folders of programs are watched.
	maxWatched = 256
)

// watchFiles reads files again when they change, from now on. Where a system
// watches nothing, a reload has to be asked for.
func (s *service) watchFiles(ctx context.Context, _ Options) error {
	bin := filepath.Join(s.layout.Plugins(), "bin")
	s.watch(ctx, filewatch.Files{
		Folders:  func() []string { return append([]string{s.layout.Plugins()}, programFolders(bin)...) },
		Concerns: notAttributes, Quiet: quiet, Limit: quietLimit, AtFirst: true,
	}, func(ctx context.Context) {
		s.guardJobs()
		s.reloadPlugins(pluginControl{s.plugins, s}.Refresh(ctx))
	})
	s.watch(ctx, filewatch.Files{
		Folders:  func() []string { return []string{s.layout.Jobs(), s.layout.Policies(), s.layout.SyncedPolicies()} },
		Concerns: notAttributes, Quiet: quiet, Limit: quietLimit, AtFirst: true,
	}, func(context.Context) { s.guardJobs() })
	return nil
}

// notAttributes: a program's may change for reasons of its own, a configuration's says
// who can write it.
func notAttributes(path string, attributes bool) bool {
	return !attributes || filepath.Ext(path) == ".json"
}

// watchPolicies has KeeperPolicy read policies again when their files change. It does
// not follow them itself: to close what follows files takes the kernel several
// milliseconds when a process ends (inotify(7); fsnotify_destroy_group waits for a grace
// period), and one that has crashed is not replaced before.
func (s *service) watchPolicies(ctx context.Context, _ Options) error {
	policies := s.layout.Policies()
	s.watch(ctx, filewatch.Files{
		Folders: func() []string { return []string{s.layout.Root(), policies, s.layout.SyncedPolicies()} },
		Concerns: func(path string, _ bool) bool {
			return path == policies || strings.HasPrefix(path, policies+string(filepath.Separator))
		},
		Quiet: quietPolicies, Limit: quietPolicyLimit,
	}, func(ctx context.Context) {
		// Attack: a KeeperPolicy that does not answer decides by policies that were
		// taken back. So it is asked until it has read them.
		for {
			err := s.reloadPolicies(ctx)
			if ctx.Err() != nil || !errors.Is(err, errPolicySilent) {
				return // it says itself what it could not read
			}
			s.log.Warn("policies have changed and may not be in force", "error", wire.PrintableLine(err.Error()))
		}
	})
	return nil
}

// watch calls changed after changes of files until the service stops.
func (s *service) watch(ctx context.Context, files filewatch.Files, changed func(context.Context)) {
	w, err := filewatch.New(files)
	if err != nil {
		s.log.Warn("changed files are noticed on a reload only", "folders", files.Folders(), "error", err)
		return
	}
	s.background(ctx, func(ctx context.Context) { w.Run(ctx, func() { changed(ctx) }) })
}

// programFolders are bin and the folders in it.
func programFolders(bin string) []string {
	list := []string{bin}
	entries, err := os.ReadDir(bin)
	if err != nil {
		return list
	}
	for _, e := range entries {
		if e.IsDir() && len(list) < maxWatched {
			list = append(list, filepath.Join(bin, e.Name()))
		}
	}
	return list
}
