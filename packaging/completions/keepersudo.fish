# A command and its arguments are completed as they are elsewhere.
complete -c keepersudo -s u -l user -x -a '(__fish_complete_users)' -d 'Run as this user'
complete -c keepersudo -s n -l non-interactive -d 'Fail instead of asking a question'
complete -c keepersudo -l for -x -d 'Remember what policy asks for, such as 30m'
complete -c keepersudo -l root -r -d 'The agent to ask'
complete -c keepersudo -s h -l help -d 'Show help'
complete -c keepersudo -s V -l version -d 'Show the version'
complete -c keepersudo -x -a '(__fish_complete_subcommand -u -s u -s p --long user --long root --long for)'
