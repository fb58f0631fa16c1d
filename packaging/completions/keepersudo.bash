# A command and its arguments are completed as they are elsewhere.
_keepersudo() {
	local i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case "${COMP_WORDS[i]}" in
		--) _command_offset $((i + 1)); return ;;
		-u | --user | --root | --reason | --for | -p) ((i++)) ;;
		-*) ;;
		*) _command_offset "$i"; return ;;
		esac
	done
	case "${COMP_WORDS[COMP_CWORD - 1]}" in
	-u | --user) mapfile -t COMPREPLY < <(compgen -u -- "${COMP_WORDS[COMP_CWORD]}"); return ;;
	--root) mapfile -t COMPREPLY < <(compgen -d -- "${COMP_WORDS[COMP_CWORD]}"); return ;;
	esac
	case "${COMP_WORDS[COMP_CWORD]}" in
	-*) mapfile -t COMPREPLY < <(compgen -W "-u --user -n --non-interactive --desktop --wait --no-wait --reason --for -v --validate -k --reset-timestamp -K --remove-timestamp --root -h --help -V --version" -- "${COMP_WORDS[COMP_CWORD]}") ;;
	*) mapfile -t COMPREPLY < <(PATH=/usr/sbin:/usr/bin:/sbin:/bin compgen -c -- "${COMP_WORDS[COMP_CWORD]}") ;;
	esac
}
complete -F _keepersudo keepersudo
