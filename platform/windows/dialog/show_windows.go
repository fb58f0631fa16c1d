package dialog

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core/dialog"
)

// maxEntry bounds what can be entered, in characters.
const maxEntry = 4096

// Messages (learn.microsoft.com, "Window Notifications", "WM_COMMAND message").
const (
	wmInitDialog = 0x0110
	wmCommand    = 0x0111
	wmClose      = 0x0010
	emLimitText  = 0x00C5
)

// user32 is what dialogs are made by.
type user32 struct{ dialogBox, endDialog, itemText, sendItem, setFocus, item, post *windows.LazyProc }

func newUser32() (*user32, error) {
	dll := windows.NewLazySystemDLL("user32.dll")
	u := &user32{
		dialogBox: dll.NewProc("DialogBoxIndirectParamW"), endDialog: dll.NewProc("EndDialog"), itemText: dll.NewProc("GetDlgItemTextW"),
		sendItem: dll.NewProc("SendDlgItemMessageW"), setFocus: dll.NewProc("SetFocus"), item: dll.NewProc("GetDlgItem"), post: dll.NewProc("PostMessageW"),
	}
	for _, proc := range []*windows.LazyProc{u.dialogBox, u.endDialog, u.itemText, u.sendItem, u.setFocus, u.item, u.post} {
		if err := proc.Find(); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// Show shows q until it is answered or closed, or ctx ends. An error means that nobody
// has answered.
func Show(ctx context.Context, q dialog.Question) (dialog.Answer, error) {
	u, err := newUser32()
	if err != nil {
		return dialog.Answer{Outcome: dialog.Unavailable, Text: err.Error()}, nil
	}
	// A window belongs to the thread that has made it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var window atomic.Uintptr
	stop := context.AfterFunc(ctx, func() {
		if w := window.Load(); w != 0 {
			u.post.Call(w, wmClose, 0, 0)
		}
	})
	defer stop()
	entered := ""
	// A process shows one dialog: the callback, which is never freed, is one as well.
	procedure := windows.NewCallback(func(w, message, wParam, _ uintptr) uintptr {
		switch message {
		case wmInitDialog:
			window.Store(w)
			if ctx.Err() != nil {
				u.endDialog.Call(w, idCancel)
			}
			u.sendItem.Call(w, idEntry, emLimitText, maxEntry, 0)
			if entry, _, _ := u.item.Call(w, idEntry); entry != 0 {
				u.setFocus.Call(entry)
				return 0 // the focus is set
			}
			return 1
		case wmCommand:
			switch id := wParam & 0xFFFF; id {
			case idOK, idCancel, idYes, idNo:
				if id == idOK {
					text := make([]uint16, maxEntry+1)
					n, _, _ := u.itemText.Call(w, idEntry, uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)))
					entered = windows.UTF16ToString(text[:min(int(n), maxEntry)])
				}
				u.endDialog.Call(w, id)
				return 1
			}
		}
		return 0
	})
	made := template(&q)
	chosen, _, err := u.dialogBox.Call(0, uintptr(unsafe.Pointer(&made[0])), 0, procedure, 0)
	runtime.KeepAlive(made)
	switch {
	case ctx.Err() != nil:
		return dialog.Answer{}, ctx.Err()
	case int32(chosen) <= 0:
		return dialog.Answer{Outcome: dialog.Unavailable, Text: fmt.Sprintf("a window cannot be shown: %v", err)}, nil
	}
	return answer(q.Kind, int(chosen), entered), nil
}
