package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"kpm/core"
)

// ErrEvaluate is wrapped by every error of EvaluateJob.
var ErrEvaluate = errors.New("the filter job has not answered")

// EvaluateJob has a job run to its end as the filter of a policy, and says whether
// it succeeded. The API lets KeeperPolicy alone ask that, and waits for 30 s at
// most. values are the context that the run begins with.
func (a *Agent) EvaluateJob(ctx context.Context, job string, values map[string]any) (bool, error) {
	if !core.ValidName(job) {
		return false, fmt.Errorf("sdk: job %q: %w: it is no job id", job, ErrEvaluate)
	}
	body, err := json.Marshal(values)
	if err != nil {
		return false, fmt.Errorf("sdk: job %s: %w: %w", job, ErrEvaluate, err)
	}
	status, answer, err := call(ctx, a.cfg.Network, fmt.Sprintf(
		"POST /api/Jobs/%s/evaluate HTTP/1.0\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", job, len(body), body))
	if err != nil {
		return false, fmt.Errorf("sdk: job %s: %w: %w", job, ErrEvaluate, err)
	}
	if status != "200" {
		return false, fmt.Errorf("sdk: job %s: %w: the API answered %s %s", job, ErrEvaluate, status, problem(answer))
	}
	// Whoever says nothing of passing has not said that it passes.
	var evaluated struct {
		Passed *bool `json:"passed"`
	}
	if err := json.Unmarshal(answer, &evaluated); err != nil || evaluated.Passed == nil {
		return false, fmt.Errorf("sdk: job %s: %w: the API's answer cannot be read", job, ErrEvaluate)
	}
	return *evaluated.Passed, nil
}
