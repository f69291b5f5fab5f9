"""What people see: a .py and a .html of one name for each screen; layout.html holds what all pages carry.

sign_in, tenants (which utilities stand how), board (the operator's page of one), plan, runs, usage, run, files, file; error and docs
have a template only. A route loads what it shows from the store and hands it to a view; a template decides nothing.
"""

from levada.web.screens.board import board, board_events, board_json, board_parts, plan_now, plan_now_state
from levada.web.screens.file import file_page
from levada.web.screens.files import files_page
from levada.web.screens.plan import current_plan_page, plan_page
from levada.web.screens.run import run_page
from levada.web.screens.run_actions import cancel_run_button, promote_button, retry_button, roll_back_button
from levada.web.screens.runs import runs_page
from levada.web.screens.sign_in import sign_in_form, sign_in_post, sign_out
from levada.web.screens.tenants import front, tenants_page
from levada.web.screens.usage import usage_page

__all__ = ["SCREEN_ROUTES"]

SCREEN_ROUTES = [
    front,
    sign_in_form,
    sign_in_post,
    sign_out,
    tenants_page,
    board,
    board_parts,
    board_json,
    board_events,
    plan_now,
    plan_now_state,
    plan_page,
    current_plan_page,
    runs_page,
    usage_page,
    run_page,
    cancel_run_button,
    retry_button,
    promote_button,
    roll_back_button,
    files_page,
    file_page,
]
