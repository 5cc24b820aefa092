"""What runs on a site's own instance, alike on EC2 and on Azure, and how a cloud is told to run it.

    archive.py        a release as one deterministic file: `write_archive`, `archive_key`
    agent_program.py  the agent as one file: `agent_program()`, to lie in the same store
    agent/            the agent itself: standard library only, runs on Python 3.9
    bootstrap.py      the first lines of every command: brings the agent up to date, then calls it
    commands.py       the texts of user data and of commands, and the agent's answer as values
    start_drift.py    tells an instance that a former version has started
    variables.py      names and values of a site's variables, and how the facilities spell them

A host puts the agent and the archive into its object store, runs `release_command` through the
cloud's own facility, and gives what that printed to `answer_of`. Nothing here calls a cloud.
"""
