package view

import "kpm/core/dialog"

// Kinds of prompts.
const (
	// PromptListening says that the caller is asked from now on.
	PromptListening = "listening"
	// PromptQuestion asks, and PromptOver says that a question need not be answered any
	// more.
	PromptQuestion = "question"
	PromptOver     = "over"
)

// Prompt is what a person is asked at another terminal than that of a request.
type Prompt struct {
	Kind string `json:"kind"`
	// ID is the question's, for whoever answers it.
	ID       string           `json:"id"`
	Question *dialog.Question `json:"question,omitempty"`
}

// PromptAnswered says which question was answered.
type PromptAnswered struct {
	ID string `json:"id"`
}
