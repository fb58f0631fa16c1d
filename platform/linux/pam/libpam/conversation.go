//go:build linux

package libpam

import (
	"io"
	"unsafe"

	"github.com/ebitengine/purego"

	"kpm/platform/linux/pam"
)

// conversation is struct pam_conv.
type conversation struct {
	function uintptr
	data     uintptr
}

// message and response are struct pam_message and struct pam_response.
type message struct {
	style int32
	text  unsafe.Pointer
}

type response struct {
	text unsafe.Pointer
	code int32
}

// speaker is the service's end of a conversation, for the modules.
type speaker struct {
	library *library
	service io.ReadWriter
}

// conversation returns what pam_start is given. It lives as long as the process.
func (s *speaker) conversation() *conversation {
	return &conversation{function: purego.NewCallback(s.converse)}
}

// converse implements pam_conv(3). Linux-PAM hands over an array of pointers.
func (s *speaker) converse(count int32, messages *[maxMessages]*message, answers *unsafe.Pointer, _ uintptr) int32 {
	if count <= 0 || count > maxMessages || messages == nil || answers == nil {
		return convError
	}
	// PAM frees what is answered, with the C library's own function.
	made := s.library.calloc(uintptr(count), unsafe.Sizeof(response{}))
	if made == nil {
		return bufferError
	}
	all := unsafe.Slice((*response)(made), count)
	for i := range count {
		status := s.exchange(messages[i], &all[i])
		if status != success {
			s.forget(all)
			s.library.free(made)
			return status
		}
	}
	*answers = made
	return success
}

// kinds are what each style is to the service.
var kinds = map[int32]string{promptEchoOff: pam.Secret, promptEchoOn: pam.Prompt, errorMessage: pam.Fault, textInfo: pam.Info}

// exchange has the service say one message, and takes its answer if there is one.
func (s *speaker) exchange(m *message, into *response) int32 {
	if m == nil {
		return convError
	}
	kind, ok := kinds[m.style]
	if !ok {
		return convError // PAM_BINARY_PROMPT and PAM_RADIO_TYPE, which nobody here can answer
	}
	if err := pam.Send(s.service, pam.Message{Kind: kind, Text: goString(m.text, maxText)}); err != nil {
		return convError
	}
	if kind != pam.Secret && kind != pam.Prompt {
		return success
	}
	var answer pam.Answer
	if err := pam.Receive(s.service, &answer); err != nil {
		return convError
	}
	defer clear(answer.Text)
	if answer.Cancelled || len(answer.Text) >= maxText {
		return convError
	}
	for _, b := range answer.Text {
		if b == 0 { // it would be cut short, and the rest not looked at
			return convError
		}
	}
	if into.text = s.library.cString(answer.Text); into.text == nil {
		return bufferError
	}
	return success
}

// forget overwrites and frees answers that PAM will not get.
func (s *speaker) forget(all []response) {
	for i := range all {
		if all[i].text == nil {
			continue
		}
		clear(unsafe.Slice((*byte)(all[i].text), len(goString(all[i].text, maxText))))
		s.library.free(all[i].text)
		all[i].text = nil
	}
}
