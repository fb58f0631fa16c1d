package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// Report is the result of Verify.
type Report struct {
	Segments int    `json:"segments"`
	Records  int    `json:"records"`
	First    uint64 `json:"first"` // seq of the oldest record
	// Since is how far back the journal reaches: the time of that record.
	Since time.Time `json:"since,omitzero"`
	Last  uint64    `json:"last"`
	Head  uint64    `json:"head"` // seq that the head names
	// Unfinished is the length of a last line without an end, in bytes: being
	// written, or cut off by a crash.
	Unfinished int64 `json:"unfinished,omitempty"`
	// Checkpoints is how many there are, and Signed what came of checking their
	// signatures, nil if nobody asked for it.
	Checkpoints int           `json:"checkpoints"`
	Signed      *SignedReport `json:"signed,omitempty"`
	// Noted are faults that the service itself found when it started.
	Noted []string `json:"noted,omitempty"`
	// Clock says where times do not go forward as they should. No fault:
	// clocks are set.
	Clock []string `json:"clock,omitempty"`
	// Fault is the first fault; nothing after it was read.
	Fault *Fault `json:"fault,omitempty"`
}

// Verify reads the whole journal, which may be in use, and checks every record
// against the one before it and against the head. An error means that it could
// not be read; faults are in the Report. It holds checkpoints against what is
// demanded of them; of none, only against the records that they name.
func Verify(ctx context.Context, auditDir, stateDir string, want Demand) (Report, error) {
	for {
		before, _ := readHead(stateDir)
		report, err := verify(ctx, auditDir, stateDir, want)
		if err == nil && report.Fault == nil {
			return report, nil
		}
		// The service may have removed old segments meanwhile; the head tells.
		if after, _ := readHead(stateDir); after.First == before.First {
			if err != nil {
				err = fmt.Errorf("journal: verify: %w", err)
			}
			return report, err
		}
	}
}

func verify(ctx context.Context, auditDir, stateDir string, want Demand) (Report, error) {
	headFile := filepath.Join(stateDir, headName)
	h, headErr := readHead(stateDir)
	list, err := segments(auditDir)
	if err != nil {
		return Report{}, err
	}
	// What is older than the head names is being removed, or was to be.
	list = slices.DeleteFunc(list, func(seq uint64) bool { return headErr == nil && seq < h.First })
	report := Report{Segments: len(list), Head: h.Seq}
	switch {
	case errors.Is(headErr, fs.ErrNotExist) && len(list) == 0:
		return report, fmt.Errorf("no journal in %s: %w", auditDir, fs.ErrNotExist)
	case errors.Is(headErr, fs.ErrNotExist):
		report.Fault = &Fault{File: headFile, Found: "no such file", Expected: "the head of the segments in " + auditDir}
		return report, nil
	case errors.Is(headErr, errHead):
		report.Fault = &Fault{File: headFile, Found: headErr.Error(), Expected: "a head"}
		return report, nil
	case headErr != nil:
		return report, headErr
	case h.Seq > 0 && (len(list) == 0 || list[0] > h.First):
		report.Fault = missing(auditDir, h.First)
		return report, nil
	}
	if len(list) > 0 {
		report.First = list[0]
	}
	signed, times := newSignatures(want), times{}
	var oldest uint64
	walk := chain{head: h, check: signed.check, visit: func(r *Record) {
		if report.Records++; report.Records == 1 {
			report.Since = r.Time
		}
		oldest = r.oldest(oldest)
		report.Clock = times.remark(report.Clock, r)
		if r.Fault != "" {
			report.Noted = append(report.Noted, fmt.Sprintf("record %d, %s: %s", r.Seq, r.Time.Format("2006-01-02 15:04:05Z07:00"), r.Fault))
		}
	}}
	for i, seq := range list {
		if ctx.Err() != nil {
			return report, ctx.Err()
		}
		fault, err := walk.segment(auditDir, seq)
		report.Last = walk.at.Seq
		if err != nil {
			return report, err
		}
		if fault != nil && walk.partial && i == len(list)-1 && walk.at.Seq >= h.Seq {
			report.Unfinished = walk.tail
			break
		}
		if report.Fault = fault; fault != nil {
			return report, nil
		}
	}
	report.Fault = walk.short(auditDir)
	if report.Fault == nil && report.First > oldest && oldest > 0 {
		// Attack: the oldest segments are removed, and the head says so.
		report.Fault = missing(auditDir, oldest)
	}
	if report.Fault == nil {
		report.Fault = signed.end(auditDir, list)
	}
	report.Checkpoints, report.Signed = signed.count, signed.report
	return report, nil
}
