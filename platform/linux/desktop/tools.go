package desktop

import (
	"strings"

	"kpm/core/dialog"
)

// zenity is GNOME's (zenity(1)).
func zenity(q *dialog.Question) (args []string, input string) {
	args = []string{"--title=" + q.Title(), "--width=560"}
	switch q.Kind {
	case dialog.KindNotice:
		return append(args, "--info", "--no-markup", "--timeout="+noticeSeconds, "--text="+doubled(q.Body())), ""
	case dialog.KindDecision:
		return append(args, "--text-info", "--height=420", "--ok-label="+approve, "--cancel-label="+later, "--extra-button="+deny), q.Body() + "\n"
	case dialog.KindRequest:
		return append(args, "--question", "--no-markup", "--default-cancel", "--ok-label="+askThem, "--cancel-label="+cancel, "--text="+doubled(q.Body())), ""
	}
	args = append(args, "--entry")
	if q.Secret {
		args = append(args, "--hide-text")
	}
	// An underscore would underline what follows, and be gone.
	return append(args, "--text="+strings.ReplaceAll(doubled(q.Body()), "_", "__")), ""
}

func zenityAnswer(kind dialog.Kind, status int, output string) dialog.Answer {
	switch {
	case kind == dialog.KindDecision && status == 1 && strings.TrimSpace(output) == deny:
		return dialog.Answer{Outcome: dialog.Denied}
	case status != 0:
		return declined
	case kind == dialog.KindDecision:
		return dialog.Answer{Outcome: dialog.Approved}
	case kind == dialog.KindRequest:
		return dialog.Answer{Outcome: dialog.Given}
	}
	return entered(output)
}

// kdialog is KDE's (kdialog --help). It takes a text for markup whose first line looks
// like some; ours never does (dialog.Question.Lines).
func kdialog(q *dialog.Question) (args []string, input string) {
	args = []string{"--title", q.Title()}
	body := doubled(q.Body())
	switch {
	case q.Kind == dialog.KindNotice:
		args = append(args, "--passivepopup", body, noticeSeconds)
	case q.Kind == dialog.KindDecision:
		args = append(args, "--yes-label", approve, "--no-label", deny, "--cancel-label", later, "--warningyesnocancel", body)
	case q.Kind == dialog.KindRequest:
		args = append(args, "--continue-label", askThem, "--warningcontinuecancel", body)
	case q.Secret:
		args = append(args, "--password", body)
	default:
		args = append(args, "--inputbox", body)
	}
	return args, ""
}

func kdialogAnswer(kind dialog.Kind, status int, output string) dialog.Answer {
	switch {
	case kind == dialog.KindDecision && status == 0:
		return dialog.Answer{Outcome: dialog.Approved}
	case kind == dialog.KindDecision && status == 1:
		return dialog.Answer{Outcome: dialog.Denied}
	case status != 0:
		return declined
	case kind == dialog.KindRequest:
		return dialog.Answer{Outcome: dialog.Given}
	}
	return entered(output)
}

// Exit statuses of yad's buttons; those of its own are others (yad(1), "EXIT STATUS").
const (
	yadApprove = "11"
	yadDeny    = "13"
)

// yad is for other desktops (yad(1)).
func yad(q *dialog.Question) (args []string, input string) {
	args = []string{"--title=" + q.Title(), "--width=560", "--center", "--on-top", "--no-markup"}
	switch q.Kind {
	case dialog.KindNotice:
		return append(args, "--timeout="+noticeSeconds, "--button=OK:0", "--text="+doubled(q.Body())), ""
	case dialog.KindDecision:
		return append(args, "--text-info", "--wrap", "--height=420", "--button="+later+":1", "--button="+deny+":"+yadDeny, "--button="+approve+":"+yadApprove), q.Body() + "\n"
	case dialog.KindRequest:
		return append(args, "--button="+cancel+":1", "--button="+askThem+":"+yadApprove, "--text="+doubled(q.Body())), ""
	}
	args = append(args, "--entry", "--button="+cancel+":1", "--button=OK:0")
	if q.Secret {
		args = append(args, "--hide-text")
	}
	return append(args, "--text="+doubled(q.Body())), ""
}

func yadAnswer(kind dialog.Kind, status int, output string) dialog.Answer {
	switch {
	case kind == dialog.KindDecision && status == 11:
		return dialog.Answer{Outcome: dialog.Approved}
	case kind == dialog.KindDecision && status == 13:
		return dialog.Answer{Outcome: dialog.Denied}
	case kind == dialog.KindRequest && status == 11:
		return dialog.Answer{Outcome: dialog.Given}
	case status == 0 && kind != dialog.KindDecision && kind != dialog.KindRequest:
		return entered(output)
	}
	return declined
}
