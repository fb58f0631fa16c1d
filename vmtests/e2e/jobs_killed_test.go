//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/core/view"
	"kpm/vmtests/agent"
)

const (
	// twoTasks does what a program and a built-in do.
	twoTasks  = `{"id": "two", "tasks": [{"id": "a", "command": "true"}, {"id": "b", "command": "echo", "arguments": "done"}]}`
	twoTasks2 = `{"id": "safe", "rerunIfInterrupted": true, "tasks": [{"id": "a", "command": "sleep", "arguments": "0.02"}, {"id": "b", "command": "echo"}]}`
)

// ask asks the API as root.
func ask(t *testing.T, a *agent.Agent, method, path string, into any) error {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := a.Client()
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, path, response.StatusCode, data)
	}
	return json.Unmarshal(data, into)
}

// history returns every run that there is.
func history(t *testing.T, a *agent.Agent) map[string]view.JobRun {
	t.Helper()
	all := map[string]view.JobRun{}
	for before := ""; ; {
		var page view.JobRuns
		if err := ask(t, a, "GET", "/api/Jobs/runs?limit=1000&before="+before, &page); err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Runs {
			all[r.ID] = r
		}
		if before = page.Next; before == "" {
			return all
		}
	}
}

// Killed at random moments of five hundred runs, the service loses none of those that it
// has taken in: each has its end, or is marked; and only what says so runs again.
func TestTheServiceIsKilledWhileJobsRun(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		for name, text := range map[string]string{"two": twoTasks, "safe": twoTasks2} {
			if err := a.Write("Jobs/"+name+".json", text); err != nil {
				t.Fatal(err)
			}
		}
	})
	var mu sync.Mutex
	accepted, kills := map[string]string{}, 0
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(accepted)
	}
	for count() < 500 {
		var asking sync.WaitGroup
		stop := make(chan struct{})
		for _, job := range []string{"two", "safe", "two"} {
			asking.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					var started view.RunStarted
					if ask(t, a, "POST", "/api/Jobs/"+job+"/run", &started) != nil {
						return
					}
					mu.Lock()
					accepted[started.RunID] = job
					mu.Unlock()
				}
			})
		}
		time.Sleep(time.Duration(50+random.IntN(250)) * time.Millisecond) // when is what the seed decides
		if err := a.Kill(); err != nil {
			t.Fatal(err)
		}
		kills++
		close(stop)
		asking.Wait()
		if _, err := a.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	all := history(t, a)
	for wait := 0; underWay(all) && wait < 2400; wait++ { // those that run again
		time.Sleep(50 * time.Millisecond)
		all = history(t, a)
	}
	counts, again := map[string]int{}, map[string]int{}
	for _, r := range all {
		counts[r.JobID+" "+r.State]++
		if r.Trigger.Kind == "rerun" {
			again[r.JobID]++
			if all[r.ParentID].State != "interrupted" {
				t.Errorf("%s runs again for %s, which is %s", r.ID, r.ParentID, all[r.ParentID].State)
			}
		}
	}
	lost := 0
	for id := range accepted {
		if _, kept := all[id]; !kept {
			lost++
		}
	}
	t.Logf("%d runs, %d kills: %v; again %v", len(accepted), kills, counts, again)
	for what := range counts {
		if state := strings.Fields(what)[1]; state != "succeeded" && state != "interrupted" && !strings.HasPrefix(what, "log-version-info") {
			t.Errorf("%d are %s", counts[what], what)
		}
	}
	if lost > 0 {
		t.Errorf("%d runs that somebody was told of are lost", lost)
	}
	if counts["two interrupted"]+counts["safe interrupted"] == 0 || again["two"] > 0 || again["safe"] != counts["safe interrupted"] {
		t.Errorf("again %v of %v", again, counts)
	}
}

// underWay reports whether a run has no end yet, or is to come again and has not.
func underWay(all map[string]view.JobRun) bool {
	left := 0
	for _, r := range all {
		if r.JobID == "safe" && r.State == "interrupted" {
			left++
		}
		if r.Trigger.Kind == "rerun" {
			left--
		}
		if r.State == "running" || r.State == "queued" {
			return true
		}
	}
	return left > 0
}

// A full disk stops no job, and the service says what it could not keep.
func TestJobsOnAFullDisk(t *testing.T) {
	a := agentOnSmallDisk(t)
	const said = "the disk is full and I run"
	text := fmt.Sprintf(`{"id": "says", "tasks": [{"id": "a", "command": "true"}, {"id": "b", "command": "log-message", "arguments": "--Level=Warning %s"}]}`, said)
	if err := a.Write("Jobs/says.json", text); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Admin(t.Context(), "jobs", "reload"); err != nil {
		t.Fatal(err)
	}
	fill(t, a)
	for range 20 {
		var started view.RunStarted
		if err := ask(t, a, "POST", "/api/Jobs/says/run", &started); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all have run", func() bool { return strings.Count(a.Log(), said) == 20 })
	eventually(t, "that nothing is kept is said", func() bool { return strings.Contains(a.Log(), "the history of jobs cannot be written") })
}
