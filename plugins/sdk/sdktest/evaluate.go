package sdktest

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Jobs answers what is asked of filter jobs: whether the job of that id passes, and
// whether there is one. It may take its time; without it there is no job.
func (b *Bus) Jobs(answer func(id string, context map[string]any) (passed, known bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs = answer
}

func (b *Bus) serveEvaluate(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	answer := b.jobs
	b.mu.Unlock()
	id := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/api/Jobs/"), "/evaluate")
	var context map[string]any
	if err := json.NewDecoder(r.Body).Decode(&context); err != nil || answer == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	passed, known := answer(id, context)
	if !known {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"runId": "r1", "passed": passed})
}
